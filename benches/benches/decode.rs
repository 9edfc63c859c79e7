//! Decoding a page of a thousand time entries, the work that every row of a scan costs.

use std::hint::black_box;
use std::time::Duration;

use awork_api::catalogue::columns::{Source, columns};
use awork_api::catalogue::{Catalogue, Shape, Type};
use awork_api::rows::{Kind, Projection, Target, decode};
use awork_sandbox::{Config, Sandbox};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A page as it comes over the wire.
fn page() -> Vec<u8> {
    // Only the first call of a process does anything, and the others say so as an error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = Sandbox::start(Config { scale: 1000, ..Config::default() }).expect("a sandbox");
    let url = format!("{}/timeentries?pageSize=1000&orderby=createdOn,id", sandbox.api_url());
    let request = reqwest::blocking::Client::new().get(url).bearer_auth("awork-sandbox-key");
    request.send().expect("an answer").bytes().expect("a body").to_vec()
}

/// How a column of this type is decoded.
fn kind(source: &Source, ty: &Type) -> Kind {
    match (source, ty) {
        (Source::InstantOf { .. }, _) | (_, Type::Instant) => Kind::Instant,
        (Source::SetWithout { .. }, _) | (_, Type::Boolean) => Kind::Bool,
        (_, Type::Uuid) => Kind::Uuid,
        (_, Type::Integer) => Kind::Int { bits: 32 },
        (_, Type::Bigint) => Kind::Int { bits: 64 },
        (_, Type::Double) => Kind::Float { bits: 64 },
        (_, Type::LocalTimestamp) => Kind::LocalTimestamp,
        (_, Type::Date) => Kind::Date,
        (_, Type::TimeOfDay) => Kind::TimeOfDay,
        (_, Type::Text) => Kind::Text,
        (_, Type::Json | Type::Model(_) | Type::List(_)) => Kind::Json,
    }
}

/// The columns of the table that `wanted` names, decoded with each row's identity as a scan does.
fn projection(wanted: impl Fn(&str) -> bool) -> Projection {
    let catalogue = Catalogue::bundled();
    let resource = catalogue.resource("time_entries").expect("the catalogue has it");
    let targets: Vec<Target> = columns(catalogue, resource)
        .into_iter()
        .filter(|column| wanted(&column.name))
        .map(|column| {
            let kind = kind(&column.source, &column.ty);
            Target { name: column.name, source: column.source, kind }
        })
        .collect();
    Projection::new(&targets, true)
}

/// The columns that scripts/bench reads.
const THIRTEEN: [&str; 13] = [
    "id",
    "duration",
    "is_billable",
    "is_billed",
    "project_id",
    "task_id",
    "user_id",
    "type_of_work_id",
    "start_date_local",
    "created_on",
    "updated_on",
    "note",
    "project_name",
];

fn pages(criterion: &mut Criterion) {
    let page = page();
    let mut group = criterion.benchmark_group("decode 1000 time entries");
    group.throughput(Throughput::Bytes(page.len() as u64));
    let projections = [
        ("no column", projection(|_| false)),
        ("2 columns", projection(|name| ["duration", "updated_on"].contains(&name))),
        ("13 columns", projection(|name| THIRTEEN.contains(&name))),
        ("all columns and attrs", projection(|_| true)),
    ];
    for (name, projection) in &projections {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let batch = decode::page(black_box(&page), Shape::List, projection);
                assert_eq!(batch.expect("the page is right").rows(), 1000);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    targets = pages
}
criterion_main!(benches);
