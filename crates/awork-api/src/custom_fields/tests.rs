use super::slug::slug;
use super::*;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n << 64)
}

fn definition(n: u128, name: &str) -> Definition {
    Definition {
        id: id(n),
        name: name.to_owned(),
        label: name.to_owned(),
        entity: "task".to_owned(),
        ty: "text".to_owned(),
        options: Vec::new(),
        created: None,
    }
}

fn names(definitions: &[Definition]) -> Vec<String> {
    columns("task", definitions).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn names_become_words_of_ascii() {
    for (name, expected) in [
        ("Auftragsnummer", "auftragsnummer"),
        ("Größe (m²)", "groesse_m2"),
        ("ÄÖÜ äöüß ẞ", "aeoeue_aeoeuess_ss"),
        ("Gro\u{308}ße", "groesse"),
        ("café", "cafe"),
        ("cafe\u{301}", "cafe"),
        ("x\u{302}\u{323}y", "xy"),
        ("Ørsted Łódź", "orsted_lodz"),
        ("  Stundensatz  €/h ", "stundensatz_h"),
        ("Abgenommen?", "abgenommen"),
        ("a--b__c", "a_b_c"),
        ("Order", "order_"),
        ("2. Rate", "field_2_rate"),
        ("Risiko 🔥", "risiko"),
        ("🤷‍♀️", "field_0000000000000001"),
        ("", "field_0000000000000001"),
        ("\"; DROP TABLE x; --", "drop_table_x"),
        ("项目", "xiang_mu"),
        ("Проект", "proekt"),
    ] {
        let expected = expected.replace("0000000000000001", "00000000");
        assert_eq!(slug(name, &id(1)), expected, "{name}");
    }
}

#[test]
fn names_fit_a_column() {
    for name in ["x".repeat(200), "ä".repeat(200), "a b ".repeat(50), "项".repeat(100)] {
        for digits in [0, 4, 32] {
            let name = slug::with_id(&slug(&name, &id(1)), &id(1), digits);
            assert!(name.len() <= 63 && name.len() > 55, "{name}");
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(name.chars().all(is_plain), "{name}");
        }
    }
}

#[test]
fn a_name_of_two_fields_says_which() {
    let fields = [definition(0xabcd << 48, "Phase"), definition(0x1234 << 48, "phase!")];
    assert_eq!(names(&fields), ["phase_abcd", "phase_1234"]);
    let turned = [fields[1].clone(), fields[0].clone()];
    assert_eq!(names(&turned), ["phase_1234", "phase_abcd"]);
    // What is the same at first goes on until it is not.
    let near = [definition(0xabcd_1111 << 32, "P"), definition(0xabcd_2222 << 32, "P")];
    assert_eq!(names(&near), ["p_abcd1111", "p_abcd2222"]);
    // Somebody else may have that name already.
    let third = [fields[0].clone(), fields[1].clone(), definition(0x5 << 60, "Phase abcd")];
    assert_eq!(names(&third), ["phase_abcd0000", "phase_1234", "phase_abcd_5000"]);
}

#[test]
fn no_name_is_that_of_a_property() {
    let fields = ["Name", "attrs", "ctid", "Project ID", "Order"];
    let fields: Vec<Definition> = (1..).zip(fields).map(|(n, f)| definition(n, f)).collect();
    let names = names(&fields);
    assert_eq!(
        names,
        ["custom_name", "custom_attrs", "custom_ctid", "custom_project_id", "custom_order"]
    );
}

#[test]
fn the_columns_of_a_table_are_none_of_the_new_ones() {
    let names = HashSet::from(["phase".to_owned(), "phase_abcd".to_owned()]);
    let field = definition(0xabcd << 48, "Phase");
    assert_eq!(free_name("phase", &field, &names), "phase_abcd0000");
    assert_eq!(free_name("other", &field, &names), "other");
}

#[test]
fn fields_of_other_entities_are_left_out() {
    let project = Definition { entity: "project".into(), ..definition(1, "P") };
    let unknown = Definition { entity: "company".into(), ..definition(2, "C") };
    assert_eq!(names(&[project, unknown, definition(3, "T")]), ["t"]);
}

#[test]
fn definitions_are_read_as_awork_sends_them() {
    let body = r#"[
        {"id": "00000000-0000-0000-0000-000000000002", "name": "Phase\u0000 \"A\"", "entity": "task",
         "type": "select", "createdOn": "2024-01-02T00:00:00Z", "linkedProjectIds": null,
         "selectionOptions": [{"id": "x", "value": "Zwei", "order": 2}, {"value": "Eins", "order": 1}]},
        {"id": "00000000-0000-0000-0000-000000000001", "name": null, "entity": "project",
         "type": "money", "createdOn": "2024-01-01T00:00:00.5Z"}
    ]"#;
    let definitions = parse(body.as_bytes(), None).unwrap();
    let [first, second] = &definitions[..] else { panic!("{definitions:?}") };
    assert_eq!((first.id.as_u128(), first.name.as_str(), first.sql_type()), (1, "", "text"));
    assert_eq!(second.options, ["Eins", "Zwei"]);
    assert_eq!(second.comment(), "Custom field \"Phase  \"A\"\" (select: Eins, Zwei).");
    assert!(second.is_commented_by(&second.comment()) && is_ours(&second.comment()));
    assert!(!first.is_commented_by(&second.comment()) && !is_ours("Our own words."));
    assert!(parse(b"{}", None).is_err());
    assert!(parse(b"", None).is_err());
    // What is missing is not gone.
    assert!(parse(b"[]", Some(0)).unwrap().is_empty());
    let failure = parse(b"[]", Some(3)).unwrap_err();
    assert_eq!(failure.message, "awork announced 3 custom fields and sent 0");
}

#[test]
fn every_list_of_tasks_and_projects_has_custom_fields() {
    let resources = &Catalogue::bundled().resources;
    let of = |wanted| {
        let lists = resources.iter().filter(move |r| entity(r) == Some(wanted));
        lists.map(|r| r.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of("project"), ["projects"]);
    assert!(of("task").contains(&"tasks") && of("task").contains(&"project_tasks"));
    assert!(resources.iter().filter(|r| entity(r).is_some()).all(has));
}

#[test]
fn changes_are_found_by_ids() {
    let at = |n: u128| id(n << 48);
    let field = |n: u128, name: &str, ty: &str| Definition {
        ty: ty.to_owned(),
        ..definition(n << 48, name)
    };
    let old = [field(1, "Same", "text"), field(2, "Old", "text"), field(3, "When", "date")];
    let comment = |n: usize| Some(old[n].comment());
    let column = |name: &str, custom_field: Option<Uuid>, comment: Option<String>| Shown {
        name: name.to_owned(),
        custom_field,
        comment,
    };
    let table = [
        column("id", None, None),
        column("new", None, None),
        column("same", Some(at(1)), comment(0)),
        column("old", Some(at(2)), comment(1)),
        column("when_", Some(at(3)), comment(2)),
        column("gone", Some(at(4)), Some(field(4, "Gone \"x\"", "text").comment())),
        column("by_hand", Some(at(5)), Some("Ours.".to_owned())),
        column("bare", Some(at(6)), None),
    ];
    let now = [
        field(1, "Same", "text"),
        field(2, "New", "text"),
        field(3, "When", "datetime"),
        field(5, "By hand", "text"),
        field(6, "Bare", "text"),
        field(7, "New", "number"),
        field(8, "Other", "number"),
    ];
    let found = changes("task", &now, &table);
    let found: Vec<(&str, &str, Option<&str>)> =
        found.iter().map(|c| (c.what.as_str(), c.column.as_str(), c.name.as_deref())).collect();
    assert_eq!(
        found,
        [
            ("renamed", "old", Some("New")),
            ("changed", "when_", Some("When")),
            ("removed", "gone", Some("Gone \"x\"")),
            ("added", "new_0007", Some("New")),
            ("added", "other", Some("Other")),
        ]
    );
    assert_eq!(changes("project", &now, &[]), []);
}
