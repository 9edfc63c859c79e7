//! The words that the invented agency is made of: names, notes, and the values of the
//! service's open enumerations.

/// First and last names; some carry blanks, marks and letters beyond ASCII on purpose, since
/// names like these come back from the real service.
pub(crate) const PEOPLE: [(&str, &str); 40] = [
    ("Annika", "Schäfer"),
    ("Jonas", "Goldammer "),
    ("Zoë", "O'Neill"),
    ("Mehmet", "Yıldız"),
    ("Łukasz", "Wiśniewski"),
    ("Friederike", "Groß"),
    ("Tom", "van der Berg"),
    ("Søren", "Kjærgaard"),
    ("Élodie", "Lefèvre"),
    ("Priya", "Nair"),
    ("Max", "Müller"),
    ("max", "müller"),
    ("Ngọc Anh", "Trần"),
    ("Katharina", "von Weiß"),
    ("Oisín", "Mac Giolla Bhríde"),
    ("Lena", "Straßburger"),
    ("李", "娜"),
    ("Дарья", "Ковалёва"),
    ("Ben", "Carter"),
    ("Isabel", "Núñez"),
    ("Paul \"PJ\"", "Jansen"),
    ("Nele", "Brandt"),
    ("Hannes", "Öztürk-Meier"),
    ("Sofia", "Almeida"),
    ("Emil", "Fischer"),
    ("Clara", "Böhm"),
    ("David", "Smith"),
    ("Amélie", "Hoffmann"),
    ("Tariq", "al-Hakim"),
    ("Greta", "Lindqvist"),
    ("Oskar", "Kühn"),
    ("Mia", "Wagner"),
    ("Levi", "Cohen"),
    ("Ingrid", "Dahl"),
    ("Felix", "Neumann"),
    ("Aoife", "Byrne"),
    ("Marek", "Dvořák"),
    ("Julia", "Krüger"),
    ("Noah", "Becker"),
    ("Yuki", "Tanaka"),
];

pub(crate) const POSITIONS: [&str; 10] = [
    "Art Director",
    "Projektmanagerin",
    "Developer",
    "",
    "Copywriter",
    "Beraterin",
    "UX Designer",
    "Geschäftsführer",
    "Strategy",
    "Werkstudent",
];

pub(crate) const TITLES: [&str; 6] = ["", "Dr.", "Ms", "Mr", "", "Prof. Dr."];

pub(crate) const COMPANIES: [&str; 24] = [
    "Bäckerei Sonnenschein GmbH",
    "Nordlicht Energie AG",
    "O'Brien & Sons Ltd.",
    "Café Zeitgeist",
    "Hansen Logistik",
    "Müller & Partner mbB",
    "Rheinwerk Maschinenbau",
    "Bright Harbour Bank",
    "Grüner Daumen e. V.",
    "100 % Bio ",
    "Kiosk_24",
    "Stadtwerke Übersee",
    "Pixel \"Perfect\" Studios",
    "Alpenblick Hotels",
    "Fjord Outdoor AS",
    "Lindenapotheke",
    "Tante Emma 2.0",
    "Verlag Weiß\\Schwarz",
    "Quantum Pets 🐾",
    "Elbe Immobilien",
    "Westend Klinikum",
    "Zweirad Zimmermann",
    "acme inc.",
    "ACME Inc.",
];

pub(crate) const INDUSTRIES: [&str; 10] = [
    "Agency",
    "Consulting",
    "Energy",
    "Finance",
    "Food & Beverages",
    "Health",
    "Logistics",
    "Real Estate",
    "Retail",
    "Tourism",
];

pub(crate) const PROJECTS: [&str; 16] = [
    "Website Relaunch",
    "Corporate Design",
    "Social Media Betreuung",
    "Employer Branding",
    "Onlineshop",
    "App-Entwicklung",
    "Messeauftritt",
    "Jahresbericht",
    "SEO Audit",
    "Kampagne Frühling 🌷",
    "Produktfilm",
    "Newsletter",
    "Intranet",
    "Rebranding",
    "Verpackungsdesign",
    "Wartung & Support",
];

pub(crate) const TASKS: [&str; 24] = [
    "Kick-off vorbereiten",
    "Moodboard",
    "Wireframes",
    "Texte korrigieren",
    "Angebot schreiben",
    "Draft",
    "draft ",
    "Bilder freistellen",
    "Testing auf iOS & Android",
    "Feedback einarbeiten",
    "Präsentation \"Q3\"",
    "Hosting umziehen",
    "Budget prüfen (100 %)",
    "Logo-Varianten",
    "Interviews führen",
    "Sitemap erstellen",
    "Bugfix: Umlaute äöü ß",
    "Deploy 🚀",
    "Rechnung stellen",
    "Abstimmung mit Kunde's Team",
    "Tracking_Konzept",
    "Schulung Redaktion",
    "Retro",
    "Fotoshooting planen",
];

/// What people write on a time entry; with quotes, a line break, markup and a long one.
pub(crate) const NOTES: [&str; 20] = [
    "Abstimmung mit dem Kunden",
    "Draft v2",
    "draft V2",
    "Call mit \"Team Nord\"",
    "Korrekturschleife",
    "Fixing the header\nand the footer",
    "Recherche",
    "It's done",
    "Umsetzung Startseite – Teil 1",
    "100% fertig_jetzt",
    "Meeting 🎉",
    "Größenänderung der Bilder",
    "C:\\Projekte\\Kunde",
    "Reisezeit",
    "  Leerzeichen vorn und hinten  ",
    "<b>wichtig</b> & dringend",
    "I created a first sketch of the navigation, talked it through with design and wrote down \
     what is open: hover states, the mobile menu, the search box, the language switch.",
    "Support-Ticket #4711",
    "internes Jour fixe",
    "…",
];

pub(crate) const TYPES_OF_WORK: [(&str, &str); 8] = [
    ("Konzeption", "all_inclusive"),
    ("Design", "brush"),
    ("Entwicklung", "code"),
    ("Projektmanagement", "timeline"),
    ("Beratung", "portrait"),
    ("Text", "edit"),
    ("Meeting", "group"),
    ("Reisezeit (alt)", "flight"),
];

pub(crate) const PROJECT_TYPES: [(&str, &str); 5] = [
    ("Kundenprojekt", "award"),
    ("Internes Projekt", "home"),
    ("Pitch", "megaphone"),
    ("Wartung", "wrench"),
    ("Altprojekt", "box"),
];

pub(crate) const TEAMS: [&str; 5] = ["Design", "Development", "Beratung", "Team Nord ", "Führung"];

pub(crate) const COLORS: [&str; 10] =
    ["red", "coral", "yellow", "green", "teal", "arctic", "blue", "azure", "purple", "violet"];

pub(crate) const TAGS: [(&str, [&str; 6]); 4] = [
    ("company", ["A-Kunde", "B-Kunde", "Neukunde", "international", "öffentlich", "ruht"]),
    ("project", ["Retainer", "Festpreis", "Pitch", "intern", "Priorität 1", "2026"]),
    ("task", ["Draft", "In Progress", "bug", "Kunde", "später", "QA ✅"]),
    ("user", ["remote", "Freelancer", "Teilzeit", "Elternzeit", "Hamburg", "München"]),
];

/// Name, type and icon of the task statuses of a workflow.
pub(crate) const TASK_STATUSES: [(&str, &str, &str); 6] = [
    ("To do", "todo", "radio_button_unchecked"),
    ("In Arbeit", "progress", "arrow_forward"),
    ("Review", "review", "visibility"),
    ("Blockiert", "stuck", "error"),
    ("Erledigt", "done", "check_circle"),
    ("Abgenommen", "done", "thumb_up"),
];

/// Name and type of the project statuses of a workflow.
pub(crate) const PROJECT_STATUSES: [(&str, &str); 5] = [
    ("Geplant", "not-started"),
    ("Läuft", "progress"),
    ("Wartet auf Kunde", "stuck"),
    ("Abgeschlossen", "closed"),
    ("Abgebrochen", "closed"),
];

pub(crate) const TASK_LISTS: [&str; 4] = ["Backlog", "Sprint 1", "Kundenfeedback", "Draft"];

pub(crate) const FEATURES: [&str; 12] = [
    "project-master-data",
    "project-planning-data",
    "project-timetracking",
    "user-master-data",
    "user-planning-data",
    "company-master-data",
    "workspace-manage-config",
    "workspace-time-reports",
    "absence-data",
    "document-data",
    "user-teams-data",
    "webhooks-config",
];

pub(crate) const EVENT_TYPES: [&str; 12] = [
    "task_added",
    "task_updated",
    "task_deleted",
    "task_comment_added",
    "project_added",
    "project_updated",
    "project_deleted",
    "time_tracking_added",
    "time_tracking_updated",
    "time_tracking_deleted",
    "user_updated",
    "company_updated",
];

pub(crate) const ICONS: [&str; 8] = [
    "attach_money",
    "poll",
    "golf_course",
    "all_inclusive",
    "portrait",
    "timeline",
    "image",
    "brush",
];

/// What people say in a comment.
pub(crate) const MESSAGES: [&str; 8] = [
    "Kunde ist begeistert 🎉",
    "Can you have a look at \"Draft 2\"?",
    "Bitte bis Freitag – danke!",
    "Zeile eins\nZeile zwei",
    "Done. It's on staging.",
    "Die Umlaute äöüß fehlen noch.",
    "👍",
    "Siehe C:\\Ablage\\final_v3.pdf",
];

/// Descriptions as the web editor writes them.
pub(crate) const DESCRIPTIONS: [&str; 6] = [
    "<p>Ziel: <strong>mehr Anfragen</strong> über die Website.</p>",
    "<p>Briefing &amp; Ablage</p><ul><li>Logo</li><li>\"Claim\"</li></ul>",
    "<p>Line one<br>line two</p>\n<p>Größe: 1920&times;1080</p>",
    "",
    "<p><a href=\"https://example.com/?a=1&amp;b=2\">Figma</a> 🚀</p>",
    "<p>Rücksprache mit O'Brien; Budget 10.000 €</p>",
];

/// The values that an enumeration-like text property of a model may have, by property name
/// and, where one name means different things, by model.
pub(crate) fn values_of(model: &str, property: &str) -> Option<&'static [&'static str]> {
    Some(match (model, property) {
        ("Autopilot", "type") => &["agile", "classic"],
        ("Trigger", "type") => &["task-created", "task-status-changed", "project-status-changed"],
        ("Action", "type") => &["tag-add-task", "task-set-assignee", "task-set-status"],
        ("TriggerValue" | "ActionValue", "name") => &["tag", "taskStatusType", "user"],
        ("TriggerValue" | "ActionValue", "value") => &["Design", "done", "review"],
        ("Widget", "type") => &["task-views", "calendar", "note", "project-status"],
        ("WebhookConfig", "events") => &["task_comment_added", "task_added,task_updated"],
        ("WebhookLog", "message") => &["{ \"event\": \"task_added\" }"],
        ("WebhookLog", "reason") => &["The receiver answered with 500."],
        ("TimeTrackingSetting", "type") => {
            &["prevent-on-done-projects", "prevent-for-past-days", "require-note"]
        }
        ("AlertForm", "alert") => &["due_soon", "overdue", "budget_exceeded"],
        ("AlertForm", "channel") => &["email", "push"],
        ("ProjectMilestone" | "ProjectMilestoneTemplate", "color") => {
            &["blue", "purple", "red", "yellow", "green", "asphalt"]
        }
        ("CustomFieldSelectionOption", "color") => &["red", "orange", "yellow", "green", "cyan"],
        ("Filter" | "FilterDefinition", "entityType") => &["tasks", "projects", "users"],
        ("Comment" | "CommentSearchModel", "entityType") => &["tasks"],
        ("Condition", "type") => &["Comparison", "Collection"],
        (_, "operator") => &["Equal", "GreaterThan", "Contains"],
        (_, "connector" | "rootConnector") => &["And", "Or"],
        (_, "filterValueKind") => &["Constant"],
        (_, "computedValueKind") => &["Me", "Today"],
        (_, "customFieldValueType") => &["Number", "Text"],
        (_, "workspaceAccessLevel" | "accessLevel") => &["read", "manage"],
        (_, "accessLevels") => &["read", "write"],
        (_, "feature") => &FEATURES,
        (_, "gender") => &["female", "male", "other"],
        (_, "language") => &["de-DE", "en-GB", "en-US"],
        (_, "color") => &COLORS,
        (_, "icon" | "projectTypeIcon") => &ICONS,
        (_, "emoji") => &["👍", "🎉", "🚀", "❤️"],
        (_, "mimeType") => &["application/pdf", "image/png", "text/plain"],
        (_, "fileName") => &["Abschlussbericht.xlsx", "Logo final_v3.png", "Größen.txt"],
        (_, "eventType") => &["added", "updated", "deleted"],
        (_, "originType") => &["human", "agent"],
        (_, "changedProperty") => &["Name", "StartOn", "TaskStatusId"],
        (_, "oldPropertyValue" | "newPropertyValue") => &["Draft", "2026-03-11T14:00:05.1Z", "12"],
        (_, "baseType") => &["projecttask"],
        (_, "createdVia") => &["web", "template", "automation", "api"],
        (_, "state") => &["active", "failed"],
        (_, "chartType") => &["group", "time"],
        (_, "dateMode") => &["lastMonth", "currentWeek", "today"],
        (_, "groupBy" | "sumBy") => &["UserId", "ProjectId", "TypeOfWorkId"],
        (_, "sortBy") => &["CreatedOn", "StartDateLocal"],
        (_, "sortByOrder") => &["asc", "desc"],
        (_, "roundBy") => &["nearQuarter", "upHalf", "upHour"],
        (_, "authenticationType") => &["none", "header"],
        (_, "receiverType") => &["custom", "slack"],
        (_, "recurrencyRule") => &["0 0 1 * * ?", "0 0 8 ? * MON"],
        (_, "recurrencyTimezone" | "timezone") => &super::clock::ZONES,
        (_, "retainerPeriod") => &["monthly"],
        (_, "availableColumns") => &["user", "project", "duration", "note"],
        (_, "billingStatuses") => &["billable", "billed", "notBillable"],
        (_, "industry") => &INDUSTRIES,
        (_, "position") => &POSITIONS,
        (_, "title") => &TITLES,
        (_, "country") => &["DE", "AT", "GB"],
        (_, "city") => &["Hamburg", "Köln", "London"],
        (_, "message" | "formattedMessage" | "plainFormattedMessage") => &MESSAGES,
        (_, "description") => &DESCRIPTIONS,
        (_, "scopes") => &["full_access", "offline_access"],
        (_, "triggerTypes") => &["task-created", "task-status-changed", "project-status-changed"],
        (_, "actionTypes") => &["tag-add-task", "task-set-assignee", "task-set-status"],
        _ => return None,
    })
}
