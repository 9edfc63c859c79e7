//! From the conditions of a query to the text of `filterby`: what planning and each lookup of a
//! join cost beside their request.

use std::hint::black_box;
use std::time::Duration;

use awork_api::catalogue::Catalogue;
use awork_api::catalogue::columns::Source;
use awork_api::filter::render::{Said, render};
use awork_api::filter::split::{LONGEST_TARGET, filters};
use awork_api::filter::{
    ColumnType, Comparison, Condition, Conjunct, Field, Leaf, Operand, Remote, Value, classify,
};
use criterion::{Criterion, criterion_group, criterion_main};

/// The most requests that a list of values is cut into.
const MOST: usize = 100;

fn field(property: &str, column: ColumnType) -> Field {
    let resource = Catalogue::bundled().resource("time_entries").expect("the catalogue has it");
    let source = Source::Field(vec![property.to_owned()]);
    Field::new(resource, &source, column).expect("the property is there")
}

fn compare(property: &str, column: ColumnType, op: Comparison, operand: Operand) -> Condition {
    Condition::Leaf(Leaf::Compare(field(property, column), op, operand))
}

fn uuid(number: u32) -> Value {
    Value::Uuid(u128::from(number).to_be_bytes())
}

/// `project_id = $1`
fn lookup() -> Condition {
    compare("projectId", ColumnType::Uuid, Comparison::Eq, Operand::Expression(0))
}

/// A range of days, a flag, and one of two beginnings of a note.
fn report() -> Condition {
    let day = |op, day| {
        let operand = Operand::Constant(Value::Date(day));
        compare("startDateUtc", ColumnType::Date, op, operand)
    };
    let note = |pattern: &str| {
        let pattern = Operand::Constant(Value::Text(pattern.to_owned()));
        Condition::Leaf(Leaf::Like(field("note", ColumnType::Text), pattern))
    };
    let billable = Operand::Constant(Value::Bool(true));
    Condition::And(vec![
        day(Comparison::Ge, 9556),
        day(Comparison::Lt, 9587),
        compare("isBillable", ColumnType::Boolean, Comparison::Eq, billable),
        Condition::Or(vec![note("Web%"), note("%Call%")]),
    ])
}

/// `project_id IN (…)` with so many values.
fn list(values: u32) -> Condition {
    let values = Value::Array((0..values).map(uuid).collect());
    let field = field("projectId", ColumnType::Uuid);
    Condition::Leaf(Leaf::AnyOf(field, Operand::Constant(values)))
}

fn text(remote: &Remote, values: &[Value]) -> Conjunct {
    match render(remote, values).0 {
        Said::Text(conjunct) => conjunct,
        other => panic!("the condition has a text, not {other:?}"),
    }
}

fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter");
    let whole = [
        ("of one value", lookup()),
        ("of a report", report()),
        ("of 40 values", list(40)),
        ("of 1000 values, cut", list(1000)),
    ];
    for (name, condition) in &whole {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let remote = classify(black_box(condition)).remote.expect("all can be sent");
                filters(&[text(&remote, &[uuid(7)])], LONGEST_TARGET, MOST)
            });
        });
    }
    let remote = classify(&lookup()).remote.expect("all can be sent");
    group.bench_function("of one more value of a classified condition", |bencher| {
        bencher.iter(|| filters(&[text(&remote, &[black_box(uuid(7))])], LONGEST_TARGET, MOST));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = building
}
criterion_main!(benches);
