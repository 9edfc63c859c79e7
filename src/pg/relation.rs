//! What the planner knows of one foreign table: its keys, the fields behind its columns, which
//! of its restrictions awork can check, and how many rows and requests a scan takes.

use awork_api::catalogue::columns::Source;
use awork_api::catalogue::{Location, Resource};
use awork_api::filter::{self, Condition, Exactness, Field, Operand, Reason, Remote, refusals};
use awork_api::request;
use awork_api::scan::{Order, parents};
use awork_api::settings::Settings;
use awork_api::totals;
use pgrx::{PgList, pg_sys};

use super::clause::{Expression, Reader};
use super::credential;
use super::foreign::{self, ForeignTable};
use super::keys::{self, KeyColumn};
use super::plan::{Conjunct, Key};
use crate::columns::{Attribute, column_type, known, required_keys, source};
use crate::error;
use crate::settings as gucs;

/// What the callbacks of one relation share; in `fdw_private` of the relation.
pub(super) struct Relation {
    pub(super) table: ForeignTable,
    pub(super) settings: Settings,
    /// The columns that bind a parameter.
    pub(super) keys: Vec<KeyColumn>,
    /// The parameters without which no request can be made.
    required: Vec<usize>,
    fields: Vec<(i16, Result<Field, String>)>,
    /// Who asks, where that is known.
    scope: Option<u64>,
    /// The number of rows that ANALYZE has stored, if any.
    analyzed: Option<f64>,
}

/// What becomes of the restrictions of a scan.
pub(super) struct Question {
    /// The conditions that bind parameters, with their values.
    pub(super) keys: Vec<(Key, *mut pg_sys::Expr)>,
    /// The conditions that awork checks.
    pub(super) conjuncts: Vec<Conjunct>,
    /// The clause of each of them.
    pushed: Vec<*mut pg_sys::RestrictInfo>,
    /// The clauses that bind no parameter.
    others: Vec<*mut pg_sys::RestrictInfo>,
    /// The values of those conditions.
    pub(super) expressions: Vec<Expression>,
    /// Why others are left to PostgreSQL.
    pub(super) local: Vec<Reason>,
    /// Whether all of them are checked by awork, and exactly.
    pub(super) exact: bool,
    /// As `exact`, but for tests for null of what is said never to be null.
    pub(super) likely_exact: bool,
    /// Whether a condition without columns decides whether the scan runs at all.
    pub(super) gated: bool,
    /// The resources whose lists are read to find the lists of this one, the nearest first;
    /// none where a parameter has no value and no list to come from.
    pub(super) parents: Option<Vec<&'static Resource>>,
}

/// What a scan is expected to take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    /// Rows that satisfy all conditions.
    pub(super) rows: f64,
    /// Rows that awork sends.
    pub(super) transferred: f64,
    /// Requests, of which some run side by side.
    pub(super) requests: f64,
}

/// The fields behind the columns of a table, by attribute number, where there are any.
pub(super) fn fields(table: &ForeignTable) -> Vec<(i16, Field)> {
    let known = known(table.resource);
    let field = |attribute| field(table, attribute, source(table.resource, &known, attribute));
    table.attributes.iter().filter_map(|a| Some((a.number, field(a).ok()?))).collect()
}

/// The field behind a column, or why there is none.
fn field(
    table: &ForeignTable,
    attribute: &Attribute,
    source: Option<Source>,
) -> Result<Field, String> {
    match &source {
        None => Err("the resource has no such column".to_owned()),
        // awork tells a value that is shown as null from null. Identities always fit.
        Some(_) if table.nulls_mismatches && attribute.name != "id" => {
            Err(format!("values that do not fit \"{}\" are shown as null", attribute.name))
        }
        Some(_) if !table.resource.paged => {
            Err("awork filters no list that comes in one piece".to_owned())
        }
        Some(source) => Field::new(table.resource, source, column_type(attribute))
            .map_err(|why| format!("{}: {why}", attribute.name)),
    }
}

impl Relation {
    /// Reads what the catalogues say of the table, for scans by `user`. `analyzed` is the number
    /// of rows in `pg_class`.
    pub(super) fn new(relation: pg_sys::Oid, user: pg_sys::Oid, analyzed: f64) -> Self {
        let table = foreign::table(relation);
        let known = known(table.resource);
        let mut keys: Vec<KeyColumn> = Vec::new();
        let mut fields = Vec::new();
        for attribute in &table.attributes {
            let source = source(table.resource, &known, attribute);
            if let Some(Source::Parameter(parameter)) = source {
                if keys.iter().any(|key| key.parameter == parameter) {
                    error::invalid_value(
                        format!(
                            "column \"{}\" of foreign table \"{}\" shows the parameter \"{}\", as another column does",
                            attribute.name, table.name, table.resource.parameters[parameter].name
                        ),
                        Some(
                            "Drop one of the columns, or give it another option \"field\".".into(),
                        ),
                    );
                }
                keys.push(KeyColumn { attribute: attribute.number, parameter });
            }
            fields.push((attribute.number, field(&table, attribute, source)));
        }
        let required = required_keys(table.resource).collect();
        let settings = foreign::settings(table.server);
        let scope = credential::scope(table.server, user);
        let analyzed = (analyzed >= 1.0).then_some(analyzed);
        Self { table, settings, keys, required, fields, scope, analyzed }
    }

    /// The field behind a column, or why there is none.
    pub(super) fn field(&self, attribute: i16) -> Result<Field, String> {
        let found = self.fields.iter().find(|(number, _)| *number == attribute);
        found.map_or_else(|| Err("it is no column of the table".into()), |(_, field)| field.clone())
    }

    /// The columns with a field.
    pub(super) fn fields(&self) -> impl Iterator<Item = (i16, &Field)> {
        self.fields.iter().filter_map(|(number, field)| Some((*number, field.as_ref().ok()?)))
    }

    /// Rows per request.
    pub(super) fn page_size(&self) -> u32 {
        self.table.page_size.unwrap_or(self.settings.page_size)
    }

    fn is_refused(&self, signature: &str) -> bool {
        let base = self.settings.api_url.as_str();
        refusals::is_refused(base, &self.table.resource.name, signature)
    }

    /// Whether awork has refused every form of an order before.
    pub(super) fn is_order_refused(&self, orderby: &str) -> bool {
        let resource = self.table.resource;
        let stable = request::stable_order(resource, &resource.properties());
        let order = Order { required: Some(orderby.to_owned()), needs_filter: false, stable };
        order.is_refused(self.settings.api_url.as_str(), resource)
    }

    /// Decides what becomes of the restrictions.
    ///
    /// # Safety
    /// `clauses` must be restrictions of the relation `relid`.
    pub(super) unsafe fn question(
        &self,
        root: *mut pg_sys::PlannerInfo,
        relid: pg_sys::Index,
        clauses: &[*mut pg_sys::RestrictInfo],
    ) -> Question {
        let field = |attribute: i16| self.field(attribute);
        let mut reader = Reader { root, relid, field: &field, expressions: Vec::new() };
        let mut question = Question {
            keys: Vec::new(),
            conjuncts: Vec::new(),
            pushed: Vec::new(),
            others: Vec::new(),
            expressions: Vec::new(),
            local: Vec::new(),
            exact: true,
            likely_exact: true,
            gated: false,
            parents: None,
        };
        let bound = |&restriction: &*mut pg_sys::RestrictInfo| {
            // SAFETY: as the caller promises.
            let clause = unsafe { (*restriction).clause.cast() };
            // SAFETY: as the caller promises.
            (restriction, clause, unsafe { keys::binding(root, relid, clause, &self.keys) })
        };
        let mut clauses: Vec<_> = clauses.iter().map(bound).collect();
        // One value takes fewer requests than several.
        clauses.sort_by_key(|(.., binding)| binding.as_ref().is_some_and(|(key, _)| key.any_of));
        for (restriction, clause, binding) in clauses {
            // SAFETY: as the caller promises.
            if unsafe { (*restriction).pseudoconstant } {
                question.gated = true;
                continue;
            }
            if let Some((key, value)) = binding
                && question.keys.iter().all(|(known, _)| known.parameter != key.parameter)
            {
                question.keys.push((key, value));
                continue;
            }
            question.others.push(restriction);
            // SAFETY: as the caller promises.
            let condition = unsafe { reader.condition(clause) };
            self.classify(&condition, restriction, &mut question);
        }
        question.expressions = reader.expressions;
        let bound: Vec<usize> = question.keys.iter().map(|(key, _)| key.parameter).collect();
        let lacks_query = self.required.iter().any(|parameter| {
            let location = self.table.resource.parameters[*parameter].location;
            location == Location::Query && !bound.contains(parameter)
        });
        question.parents = parents::chain(self.table.resource, &bound)
            .filter(|chain| !lacks_query && (chain.is_empty() || self.table.fan_out));
        question
    }

    fn classify(
        &self,
        condition: &Condition,
        restriction: *mut pg_sys::RestrictInfo,
        question: &mut Question,
    ) {
        let filter::Classified { remote, exactness, reasons } = filter::classify(condition);
        question.local.extend(reasons);
        let refused = remote.as_ref().is_some_and(|remote| self.is_refused(&remote.signature()));
        let exact = exactness == Exactness::Exact && !refused;
        question.exact &= exact;
        question.likely_exact &= exact || remote.as_ref().is_some_and(Remote::is_needless);
        let Some(remote) = remote else { return };
        if refused {
            let column = remote.leaves().first().map(|leaf| leaf.field().name());
            let why = "awork has refused the condition before".to_owned();
            question.local.push(Reason { column, why });
            return;
        }
        question.conjuncts.push(Conjunct { remote, exactness });
        question.pushed.push(restriction);
    }

    /// The key columns that have no value yet.
    pub(super) fn unbound(&self, question: &Question) -> Vec<KeyColumn> {
        let bound = |key: &&KeyColumn| {
            question.keys.iter().all(|(bound, _)| bound.parameter != key.parameter)
        };
        self.keys.iter().filter(bound).copied().collect()
    }

    /// Whether a request can be made only with a value for this parameter.
    pub(super) fn is_required(&self, parameter: usize) -> bool {
        self.required.contains(&parameter)
    }

    /// The path for single objects that finds the only row that can satisfy the conditions: its
    /// index among the resource's lookups, and the value of the last parameter.
    pub(super) fn lookup(&self, question: &Question) -> Option<(usize, Operand)> {
        let resource = self.table.resource;
        // A single object is found whatever a parameter that selects rows says.
        let selects = resource.parameters.iter().any(|p| p.location == Location::Query);
        if !resource.paged || selects || question.keys.iter().any(|(key, _)| key.any_of) {
            return None;
        }
        let lookups = resource.lookups.iter().enumerate();
        lookups.filter(|(_, lookup)| !lookup.wider && lookup.property == "id").find_map(
            |(index, lookup)| {
                let mut fixed = question.conjuncts.iter().filter_map(|c| c.remote.fixed());
                let (_, operand) = fixed.find(|(path, _)| *path == lookup.property)?;
                Some((index, operand.clone()))
            },
        )
    }

    /// How many rows a list of a resource has: the number seen last, else what ANALYZE has stored,
    /// else a figure of the catalogue.
    fn rows_per_list(&self, resource: &'static Resource) -> f64 {
        let seen = self.scope.and_then(|scope| totals::rows(scope, resource));
        let own = || std::ptr::eq(resource, self.table.resource).then_some(self.analyzed?);
        seen.or_else(|| Some(own()? / self.parents_in_all().max(1.0)))
            .unwrap_or(resource.rows as f64)
    }

    /// How many rows the table has.
    pub(super) fn rows(&self) -> f64 {
        let resource = self.table.resource;
        match self.analyzed {
            Some(analyzed) if resource.is_keyed() => analyzed,
            _ => self.rows_per_list(resource) * self.parents_in_all(),
        }
    }

    /// What a scan with these restrictions is expected to take.
    ///
    /// # Safety
    /// `question` must be of the relation `relid` of this planner.
    pub(super) unsafe fn estimate(
        &self,
        root: *mut pg_sys::PlannerInfo,
        relid: pg_sys::Index,
        question: &Question,
    ) -> Estimate {
        let resource = self.table.resource;
        let page_size = f64::from(self.page_size());
        let pages = |rows: f64| (rows / page_size).ceil().max(1.0);
        let per_list = self.rows_per_list(resource);
        let mut lists = 1.0;
        for (key, value) in &question.keys {
            if key.any_of {
                // SAFETY: an expression of the planner.
                lists *= unsafe { array_length(root, (*value).cast()) }.max(1.0);
            }
        }
        let mut requests = 0.0;
        let mut of_parents = 1.0;
        for parent in question.parents.iter().flatten().rev() {
            let rows = self.rows_per_list(parent);
            requests += of_parents * pages(rows);
            of_parents *= rows;
        }
        lists *= of_parents;
        // SAFETY: clauses of this relation.
        let (all, pushed) = unsafe {
            (selectivity(root, relid, &question.others), selectivity(root, relid, &question.pushed))
        };
        let total = lists * per_list;
        let mut rows = total * all;
        let mut transferred = total * pushed;
        if let Some(most) = self.most_rows(root, question) {
            // An identity belongs to one row, which the statistics do not know.
            rows = rows.min(most);
            transferred = transferred.min(most);
        }
        let embedded = match (&resource.embedded, question.parents.as_deref()) {
            (Some(embedded), Some([parent])) => embedded.resource == parent.name,
            _ => false,
        };
        if !embedded {
            requests += lists * pages(transferred / lists.max(1.0));
        }
        Estimate { rows, transferred, requests }
    }

    /// How many lists there are.
    pub(super) fn parents_in_all(&self) -> f64 {
        let chain = parents::chain(self.table.resource, &[]).unwrap_or_default();
        chain.iter().map(|parent| self.rows_per_list(parent)).product()
    }

    /// The number of rows that conditions on the identity allow.
    fn most_rows(&self, root: *mut pg_sys::PlannerInfo, question: &Question) -> Option<f64> {
        use awork_api::filter::{Leaf, Value};
        question.conjuncts.iter().find_map(|conjunct| match &conjunct.remote {
            Remote::Leaf(Leaf::AnyOf(field, operand)) if field.path() == Some("id") => {
                Some(match operand {
                    Operand::Constant(Value::Array(elements)) => elements.len() as f64,
                    Operand::Constant(_) => 1.0,
                    Operand::Expression(number) => {
                        let node = question.expressions[*number].node;
                        // SAFETY: an expression of the planner.
                        unsafe { array_length(root, node.cast()) }
                    }
                })
            }
            remote => remote.fixed().filter(|(path, _)| *path == "id").map(|_| 1.0),
        })
    }

    /// Startup and total cost of a scan.
    pub(super) fn cost(&self, estimate: &Estimate) -> (f64, f64) {
        let concurrency = self.settings.max_concurrency as f64;
        let rounds = 1.0 + (estimate.requests - 1.0).max(0.0) / concurrency;
        let request = gucs::request_cost();
        // SAFETY: a setting of the planner.
        let per_row = gucs::row_cost() + unsafe { pg_sys::cpu_tuple_cost };
        (request, request * rounds + estimate.transferred * per_row)
    }

    /// Total cost of reading so many rows of one list.
    pub(super) fn cost_of_rows(&self, rows: f64) -> f64 {
        let requests = (rows / f64::from(self.page_size())).ceil().max(1.0);
        self.cost(&Estimate { rows, transferred: rows, requests }).1
    }

    /// How many filters a condition may be cut into before reading everything is cheaper.
    pub(super) fn most_filters(&self) -> usize {
        let pages = self.rows_per_list(self.table.resource) / f64::from(self.page_size());
        (pages.ceil() as usize).max(1).saturating_mul(2).max(8)
    }
}

unsafe fn array_length(root: *mut pg_sys::PlannerInfo, array: *mut pg_sys::Node) -> f64 {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let length = {
            let _ = root;
            f64::from(pg_sys::estimate_array_length(array))
        };
        #[cfg(not(any(feature = "pg14", feature = "pg15", feature = "pg16")))]
        let length = pg_sys::estimate_array_length(root, array);
        length
    }
}

/// Which part of the rows satisfies some restrictions (`clauselist_selectivity`, clausesel.c).
unsafe fn selectivity(
    root: *mut pg_sys::PlannerInfo,
    relid: pg_sys::Index,
    clauses: &[*mut pg_sys::RestrictInfo],
) -> f64 {
    let mut list = PgList::<pg_sys::RestrictInfo>::new();
    for clause in clauses {
        list.push(*clause);
    }
    // SAFETY: as the caller promises; a null join is none.
    unsafe {
        pg_sys::clauselist_selectivity(
            root,
            list.into_pg(),
            relid as i32,
            pg_sys::JoinType::JOIN_INNER,
            std::ptr::null_mut(),
        )
    }
}
