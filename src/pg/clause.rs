//! Reads a restriction clause of the planner as a condition on the columns of one relation.
//! Decides nothing about awork: what has no form in [`Condition`] becomes a local condition
//! with its reason, and a value is taken as it is or as an expression to be evaluated later.

use awork_api::filter::{ColumnType, Comparison, Condition, Field, Leaf, Operand, Reason, Value};
use pgrx::{PgBox, PgList, is_a, pg_sys};

use super::keys::{is_value, tells_apart};
use super::label::label;
use super::values;

/// Where the clauses come from, and what they were found to need.
pub(super) struct Reader<'r> {
    pub(super) root: *mut pg_sys::PlannerInfo,
    pub(super) relid: pg_sys::Index,
    /// The field behind a column of the relation, or why there is none.
    pub(super) field: &'r dyn Fn(i16) -> Result<Field, String>,
    /// The values that are known only when the query runs.
    pub(super) expressions: Vec<Expression>,
}

/// A value that is known only when the query runs.
#[derive(Clone)]
pub(super) struct Expression {
    pub(super) node: *mut pg_sys::Expr,
    /// The type that it is brought to, where the column's is another.
    pub(super) to: Option<pg_sys::Oid>,
    /// Days that are added to it, where a comparison across types needs a margin.
    pub(super) shift: i32,
    /// What people know it by.
    pub(super) label: String,
}

/// How a value is brought to the type of the column.
struct Coercion {
    to: pg_sys::Oid,
    /// Days that a range has to be wider, since the two types compare by a zone's rules.
    margin: i32,
    /// Whether the comparison is exact afterwards.
    exact: bool,
}

const NO_TEST: &str = "it is no test of one column against a value";

impl Reader<'_> {
    /// The condition that a clause is.
    ///
    /// # Safety
    /// `node` must be an expression of the planner, in a restriction of the relation.
    pub(super) unsafe fn condition(&mut self, node: *mut pg_sys::Node) -> Condition {
        // SAFETY: every cast follows a test of the node's tag.
        let condition = unsafe {
            if is_a(node, pg_sys::NodeTag::T_BoolExpr) {
                return self.boolean(node.cast());
            } else if is_a(node, pg_sys::NodeTag::T_OpExpr) {
                self.comparison(node.cast())
            } else if is_a(node, pg_sys::NodeTag::T_DistinctExpr) {
                self.distinct(node.cast())
            } else if is_a(node, pg_sys::NodeTag::T_ScalarArrayOpExpr) {
                self.array(node.cast())
            } else if is_a(node, pg_sys::NodeTag::T_NullTest) {
                let test = PgBox::from_pg(node.cast::<pg_sys::NullTest>());
                let is_null = test.nulltesttype == pg_sys::NullTestType::IS_NULL;
                match test.argisrow {
                    true => Err(local(NO_TEST)),
                    false => self
                        .field(test.arg.cast())
                        .map(|(field, _)| Condition::Leaf(Leaf::Null(field, is_null))),
                }
            } else if is_a(node, pg_sys::NodeTag::T_BooleanTest) {
                self.boolean_test(node.cast())
            } else if is_a(node, pg_sys::NodeTag::T_FuncExpr) {
                self.function(node.cast())
            } else if is_a(node, pg_sys::NodeTag::T_Var) {
                self.field(node).map(|(field, _)| {
                    Condition::Leaf(Leaf::Compare(field, Comparison::Eq, constant(true)))
                })
            } else {
                Err(local(NO_TEST))
            }
        };
        condition.unwrap_or_else(Condition::Local)
    }

    unsafe fn boolean(&mut self, node: *mut pg_sys::BoolExpr) -> Condition {
        // SAFETY: as for `condition`.
        unsafe {
            let mut parts: Vec<Condition> = PgList::<pg_sys::Node>::from_pg((*node).args)
                .iter_ptr()
                .map(|part| self.condition(part))
                .collect();
            match (*node).boolop {
                pg_sys::BoolExprType::AND_EXPR => Condition::And(parts),
                pg_sys::BoolExprType::OR_EXPR => Condition::Or(parts),
                _ => match parts.pop() {
                    Some(part) => Condition::Not(Box::new(part)),
                    None => Condition::Local(local(NO_TEST)),
                },
            }
        }
    }

    unsafe fn boolean_test(&mut self, test: *mut pg_sys::BooleanTest) -> Result<Condition, Reason> {
        use pg_sys::BoolTestType as Test;
        // SAFETY: as for `condition`.
        unsafe {
            let (field, _) = self.field((*test).arg.cast())?;
            Ok(Condition::Leaf(match (*test).booltesttype {
                Test::IS_TRUE => Leaf::Same(field, constant(true), true),
                Test::IS_NOT_TRUE => Leaf::Same(field, constant(true), false),
                Test::IS_FALSE => Leaf::Same(field, constant(false), true),
                Test::IS_NOT_FALSE => Leaf::Same(field, constant(false), false),
                Test::IS_UNKNOWN => Leaf::Null(field, true),
                _ => Leaf::Null(field, false),
            }))
        }
    }

    unsafe fn function(&mut self, call: *mut pg_sys::FuncExpr) -> Result<Condition, Reason> {
        // SAFETY: as for `condition`.
        unsafe {
            let arguments = PgList::<pg_sys::Node>::from_pg((*call).args);
            if (*call).funcid != pg_sys::Oid::from(pg_sys::F_STARTS_WITH) || arguments.len() != 2 {
                return Err(local(NO_TEST));
            }
            let (Some(text), Some(prefix)) = (arguments.get_ptr(0), arguments.get_ptr(1)) else {
                return Err(local(NO_TEST));
            };
            self.text_test(text, prefix, (*call).inputcollid, Leaf::StartsWith)
        }
    }

    unsafe fn text_test(
        &mut self,
        text: *mut pg_sys::Node,
        pattern: *mut pg_sys::Node,
        collation: pg_sys::Oid,
        test: fn(Field, Operand) -> Leaf,
    ) -> Result<Condition, Reason> {
        // SAFETY: as for `condition`.
        unsafe {
            let (field, ty) = self.field(text)?;
            if !tells_apart(collation) {
                return Err(about(&field, NONDETERMINISTIC));
            }
            let operand = self.operand(&field, ty, pattern)?;
            Ok(Condition::Leaf(test(field, operand)))
        }
    }

    unsafe fn comparison(&mut self, operation: *mut pg_sys::OpExpr) -> Result<Condition, Reason> {
        // SAFETY: as for `condition`.
        unsafe {
            let arguments = PgList::<pg_sys::Node>::from_pg((*operation).args);
            let (Some(left), Some(right)) = (arguments.get_ptr(0), arguments.get_ptr(1)) else {
                return Err(local(NO_TEST));
            };
            let function = pg_sys::get_opcode((*operation).opno).to_u32();
            let collation = (*operation).inputcollid;
            match function {
                pg_sys::F_STARTS_WITH => {
                    return self.text_test(left, right, collation, Leaf::StartsWith);
                }
                pg_sys::F_TEXTLIKE => {
                    return self.text_test(left, right, collation, Leaf::Like);
                }
                pg_sys::F_TEXTNLIKE => {
                    let like = self.text_test(left, right, collation, Leaf::Like)?;
                    return Ok(Condition::Not(Box::new(like)));
                }
                _ => {}
            }
            let (column, value, operator) = self.sides(left, right, (*operation).opno)?;
            let (field, ty) = self.field(column)?;
            let Some(comparison) = comparison_of(operator, ty) else {
                return Err(about(&field, "awork knows no such operator"));
            };
            if !tells_apart(collation) {
                return Err(about(&field, NONDETERMINISTIC));
            }
            self.compare(field, ty, comparison, value)
        }
    }

    unsafe fn compare(
        &mut self,
        mut field: Field,
        ty: pg_sys::Oid,
        mut comparison: Comparison,
        value: *mut pg_sys::Node,
    ) -> Result<Condition, Reason> {
        // SAFETY: as for `condition`.
        unsafe {
            let value_type = pg_sys::getBaseType(pg_sys::exprType(value));
            let Some(coercion) = coercion(ty, value_type) else {
                let operand = self.operand(&field, ty, value)?;
                return Ok(Condition::Leaf(Leaf::Compare(field, comparison, operand)));
            };
            let mut shift = 0;
            if !coercion.exact {
                (comparison, shift) = match comparison {
                    Comparison::Lt | Comparison::Le => (Comparison::Le, coercion.margin),
                    Comparison::Gt | Comparison::Ge => (Comparison::Ge, -coercion.margin),
                    _ => return Err(about(&field, "the types compare by the session's zone")),
                };
                // What is wider than asked for is not exact, whatever is known of the property.
                field.filter = match field.filter {
                    awork_api::catalogue::Support::Yes => awork_api::catalogue::Support::Unknown,
                    other => other,
                };
            }
            if !self.is_value(value) {
                return Err(about(&field, NO_TEST));
            }
            let label = label(self.root, value);
            let node = value.cast();
            let operand = self.expression(Expression { node, to: Some(coercion.to), shift, label });
            Ok(Condition::Leaf(Leaf::Compare(field, comparison, operand)))
        }
    }

    unsafe fn distinct(&mut self, operation: *mut pg_sys::OpExpr) -> Result<Condition, Reason> {
        // SAFETY: as for `condition`; a DistinctExpr is laid out as an OpExpr.
        unsafe {
            let arguments = PgList::<pg_sys::Node>::from_pg((*operation).args);
            let (Some(left), Some(right)) = (arguments.get_ptr(0), arguments.get_ptr(1)) else {
                return Err(local(NO_TEST));
            };
            let (column, value, operator) = self.sides(left, right, (*operation).opno)?;
            let (field, ty) = self.field(column)?;
            if comparison_of(operator, ty) != Some(Comparison::Eq)
                || !tells_apart((*operation).inputcollid)
            {
                return Err(about(&field, NO_TEST));
            }
            let operand = self.operand(&field, ty, value)?;
            Ok(Condition::Leaf(Leaf::Same(field, operand, false)))
        }
    }

    unsafe fn array(
        &mut self,
        operation: *mut pg_sys::ScalarArrayOpExpr,
    ) -> Result<Condition, Reason> {
        // SAFETY: as for `condition`.
        unsafe {
            let arguments = PgList::<pg_sys::Node>::from_pg((*operation).args);
            let (Some(left), Some(array)) = (arguments.get_ptr(0), arguments.get_ptr(1)) else {
                return Err(local(NO_TEST));
            };
            let (field, ty) = self.field(left)?;
            if !self.is_value(array) {
                return Err(about(&field, NO_TEST));
            }
            let leaf = match (comparison_of((*operation).opno, ty), (*operation).useOr) {
                (Some(Comparison::Eq), true) => Leaf::AnyOf,
                (Some(Comparison::Ne), false) => Leaf::NoneOf,
                _ => return Err(about(&field, "awork knows no such operator")),
            };
            if !tells_apart((*operation).inputcollid) {
                return Err(about(&field, NONDETERMINISTIC));
            }
            let element = pg_sys::get_base_element_type(pg_sys::exprType(array));
            if !is_comparable(&field, ty, pg_sys::getBaseType(element)) {
                return Err(about(&field, NO_TEST));
            }
            let operand = self.known_or_later(array);
            Ok(Condition::Leaf(leaf(field, operand)))
        }
    }

    /// The column and the value of a binary operation, with the operator that has the column on
    /// its left.
    unsafe fn sides(
        &self,
        left: *mut pg_sys::Node,
        right: *mut pg_sys::Node,
        operator: pg_sys::Oid,
    ) -> Result<(*mut pg_sys::Node, *mut pg_sys::Node, pg_sys::Oid), Reason> {
        // SAFETY: as for `condition`.
        unsafe {
            if column_or_day(left, self.relid).is_some() && self.is_value(right) {
                return Ok((left, right, operator));
            }
            let commutator = pg_sys::get_commutator(operator);
            if column_or_day(right, self.relid).is_some()
                && self.is_value(left)
                && commutator != pg_sys::InvalidOid
            {
                return Ok((right, left, commutator));
            }
            Err(local(NO_TEST))
        }
    }

    /// The field behind a column, and the type that it is compared as.
    unsafe fn field(&self, node: *mut pg_sys::Node) -> Result<(Field, pg_sys::Oid), Reason> {
        // SAFETY: as for `condition`.
        unsafe {
            let (attribute, day) = column_or_day(node, self.relid).ok_or_else(|| local(NO_TEST))?;
            let mut field = (self.field)(attribute).map_err(|why| local(&why))?;
            // A timestamp made a date compares as a column of dates does.
            if day && field.column == ColumnType::Timestamp {
                field.column = ColumnType::Date;
            }
            Ok((field, pg_sys::getBaseType(pg_sys::exprType(node))))
        }
    }

    unsafe fn operand(
        &mut self,
        field: &Field,
        ty: pg_sys::Oid,
        value: *mut pg_sys::Node,
    ) -> Result<Operand, Reason> {
        // SAFETY: as for `condition`.
        unsafe {
            let value_type = pg_sys::getBaseType(pg_sys::exprType(value));
            if !self.is_value(value) || !is_comparable(field, ty, value_type) {
                return Err(about(field, NO_TEST));
            }
            Ok(self.known_or_later(value))
        }
    }

    unsafe fn is_value(&self, node: *mut pg_sys::Node) -> bool {
        // SAFETY: as for `condition`.
        unsafe { is_value(self.root, self.relid, node) && !pg_sys::contain_subplans(node) }
    }

    /// The value of a constant, or else an expression to evaluate.
    unsafe fn known_or_later(&mut self, node: *mut pg_sys::Node) -> Operand {
        // SAFETY: as for `condition`.
        unsafe {
            if is_a(node, pg_sys::NodeTag::T_Const) {
                let constant = &*node.cast::<pg_sys::Const>();
                return Operand::Constant(match constant.constisnull {
                    true => Value::Null,
                    false => values::read(constant.constvalue, constant.consttype),
                });
            }
            let label = label(self.root, node);
            self.expression(Expression { node: node.cast(), to: None, shift: 0, label })
        }
    }

    fn expression(&mut self, expression: Expression) -> Operand {
        let known = self.expressions.iter().position(|known| {
            let alike = (known.to, known.shift) == (expression.to, expression.shift);
            // SAFETY: both are expressions of the planner.
            alike && unsafe { pg_sys::equal(known.node.cast(), expression.node.cast()) }
        });
        Operand::Expression(known.unwrap_or_else(|| {
            self.expressions.push(expression);
            self.expressions.len() - 1
        }))
    }
}

const NONDETERMINISTIC: &str = "its collation takes different texts for equal";

fn constant(value: bool) -> Operand {
    Operand::Constant(Value::Bool(value))
}

fn local(why: &str) -> Reason {
    Reason { column: None, why: why.to_owned() }
}

fn about(field: &Field, why: &str) -> Reason {
    Reason { column: Some(field.name()), why: why.to_owned() }
}

/// The comparison that an operator of a type's default B-tree operator family is.
unsafe fn comparison_of(operator: pg_sys::Oid, ty: pg_sys::Oid) -> Option<Comparison> {
    // SAFETY: look-ups by object identifiers; the type cache lives as long as the process.
    unsafe {
        let flags = pg_sys::TYPECACHE_BTREE_OPFAMILY as i32;
        let family = (*pg_sys::lookup_type_cache(ty, flags)).btree_opf;
        if family == pg_sys::InvalidOid {
            return None;
        }
        Some(match pg_sys::get_op_opfamily_strategy(operator, family) as u32 {
            pg_sys::BTLessStrategyNumber => Comparison::Lt,
            pg_sys::BTLessEqualStrategyNumber => Comparison::Le,
            pg_sys::BTEqualStrategyNumber => Comparison::Eq,
            pg_sys::BTGreaterEqualStrategyNumber => Comparison::Ge,
            pg_sys::BTGreaterStrategyNumber => Comparison::Gt,
            _ => {
                let negator = pg_sys::get_negator(operator);
                let equal = negator != pg_sys::InvalidOid
                    && pg_sys::get_op_opfamily_strategy(negator, family) as u32
                        == pg_sys::BTEqualStrategyNumber;
                return equal.then_some(Comparison::Ne);
            }
        })
    }
}

/// Whether a value of a type can be compared with a column as it is, without a conversion that
/// depends on the session.
fn is_comparable(field: &Field, ty: pg_sys::Oid, value: pg_sys::Oid) -> bool {
    match field.column {
        ColumnType::Uuid | ColumnType::Boolean => value == ty,
        ColumnType::Text => [pg_sys::TEXTOID, pg_sys::VARCHAROID].contains(&value),
        ColumnType::Integer | ColumnType::Float | ColumnType::Numeric => [
            pg_sys::INT2OID,
            pg_sys::INT4OID,
            pg_sys::INT8OID,
            pg_sys::FLOAT8OID,
            pg_sys::NUMERICOID,
        ]
        .contains(&value),
        ColumnType::Timestamp | ColumnType::Date => value == ty,
        ColumnType::Other => false,
    }
}

/// How a date or time of another type is brought to the column's (`date.c`, the functions that
/// compare across types: they convert the coarser side, or the one without a zone).
fn coercion(ty: pg_sys::Oid, value: pg_sys::Oid) -> Option<Coercion> {
    use pg_sys::{DATEOID, TIMESTAMPOID, TIMESTAMPTZOID};
    match (ty, value) {
        (TIMESTAMPTZOID, DATEOID | TIMESTAMPOID) | (TIMESTAMPOID, DATEOID) => {
            Some(Coercion { to: ty, margin: 0, exact: true })
        }
        (DATEOID, TIMESTAMPOID) => Some(Coercion { to: ty, margin: 0, exact: false }),
        // Clocks that are put back make an hour come twice.
        (TIMESTAMPOID | DATEOID, TIMESTAMPTZOID) => {
            Some(Coercion { to: ty, margin: 1, exact: false })
        }
        _ => None,
    }
}

/// The attribute number of a column of the relation as by [`column()`], or of one of type timestamp
/// that is cast to date, and whether it is the latter. That cast depends on no time zone.
unsafe fn column_or_day(node: *mut pg_sys::Node, relid: pg_sys::Index) -> Option<(i16, bool)> {
    // SAFETY: as for `column`; the cast follows a test of the node's tag.
    unsafe {
        if is_a(node, pg_sys::NodeTag::T_FuncExpr) {
            let call = &*node.cast::<pg_sys::FuncExpr>();
            if call.funcid.to_u32() == pg_sys::F_DATE_TIMESTAMP {
                let argument = PgList::<pg_sys::Node>::from_pg(call.args).head()?;
                return Some((super::keys::column(argument, relid)?, true));
            }
        }
        Some((column(node, relid)?, false))
    }
}

/// The attribute number of a column of the relation, seen through casts that neither change a
/// value nor its order.
///
/// # Safety
/// `node` must be an expression of the planner.
pub(super) unsafe fn column(node: *mut pg_sys::Node, relid: pg_sys::Index) -> Option<i16> {
    const WIDENING: &[u32] = &[
        pg_sys::F_INT4_INT2,
        pg_sys::F_INT8_INT2,
        pg_sys::F_INT8_INT4,
        pg_sys::F_NUMERIC_INT2,
        pg_sys::F_NUMERIC_INT4,
        pg_sys::F_NUMERIC_INT8,
        pg_sys::F_FLOAT8_INT2,
        pg_sys::F_FLOAT8_INT4,
    ];
    // SAFETY: every cast follows a test of the node's tag.
    unsafe {
        if is_a(node, pg_sys::NodeTag::T_FuncExpr) {
            let call = &*node.cast::<pg_sys::FuncExpr>();
            let argument = PgList::<pg_sys::Node>::from_pg(call.args).head()?;
            if !WIDENING.contains(&call.funcid.to_u32()) {
                return None;
            }
            return super::keys::column(argument, relid);
        }
        super::keys::column(node, relid)
    }
}
