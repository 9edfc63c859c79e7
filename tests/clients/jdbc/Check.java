// JDBC: what DBeaver, Metabase, Tableau and reporting servers in Java ask of the driver.

import java.math.BigDecimal;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

public class Check {
    static final String URL = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT")
        + "/" + System.getenv("PGDATABASE") + "?user=" + System.getenv("PGUSER");
    static Connection connection;

    public static void main(String[] arguments) throws Exception {
        connection = DriverManager.getConnection(URL);
        tables();
        parameters();
        arrays();
        batches();
        cancel();
        connection.close();
    }

    static void equal(String what, Object found, Object expected) {
        if (!Objects.equals(found, expected)) {
            System.out.printf("not ok %s%n  found    %.2000s%n  expected %.2000s%n", what, found, expected);
            System.exit(1);
        }
        System.out.println("ok " + what);
    }

    /** The rows of a query, each as a list. */
    static List<List<Object>> rows(PreparedStatement statement) throws SQLException {
        try (ResultSet result = statement.executeQuery()) {
            List<List<Object>> rows = new ArrayList<>();
            while (result.next()) {
                List<Object> row = new ArrayList<>();
                for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) row.add(result.getObject(i));
                rows.add(row);
            }
            return rows;
        }
    }

    static List<List<Object>> rows(String sql) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            return rows(statement);
        }
    }

    /** What a method of DatabaseMetaData lists, of these columns. */
    static List<List<Object>> listed(ResultSet result, String... columns) throws SQLException {
        List<List<Object>> rows = new ArrayList<>();
        while (result.next()) {
            List<Object> row = new ArrayList<>();
            for (String column : columns) row.add(result.getObject(column));
            rows.add(row);
        }
        return rows;
    }

    static void tables() throws SQLException {
        String[] foreign = {"FOREIGN TABLE"};
        equal("getTables lists the foreign tables with their comments",
            listed(connection.getMetaData().getTables(null, "awork", "%", foreign), "TABLE_NAME", "REMARKS"),
            rows("SELECT DISTINCT table_name, table_comment FROM awork_fdw_catalog ORDER BY 1"));
        String[] usual = {"TABLE", "VIEW"};
        equal("getTables of the types TABLE and VIEW lists views only",
            listed(connection.getMetaData().getTables(null, "awork", "%", usual), "TABLE_NAME", "REMARKS"),
            List.of(List.of("hours_by_project", "Tracked hours per project and month.")));
        equal("getColumns lists all columns with their types and comments",
            listed(connection.getMetaData().getColumns(null, "awork", "%", "%"),
                "TABLE_NAME", "COLUMN_NAME", "ORDINAL_POSITION", "REMARKS"),
            rows("SELECT table_name, column_name, ordinal_position, column_comment FROM awork_fdw_catalog"
                + " UNION ALL SELECT table_name, column_name, ordinal_position, NULL"
                + " FROM information_schema.columns WHERE table_name = 'hours_by_project' ORDER BY 1, 3"));
        equal("getColumns has the types",
            listed(connection.getMetaData().getColumns(null, "awork", "time_entries", "%"), "TYPE_NAME"),
            rows("SELECT udt_name::text FROM information_schema.columns"
                + " WHERE table_schema = 'awork' AND table_name = 'time_entries' ORDER BY ordinal_position"));
    }

    /** A condition with a parameter of the type finds the rows of the copy, with seven values one
     *  after another, the last of them with a plan that is kept. */
    static void parameter(Class<?> type, String table, String column, String condition) throws SQLException {
        String values = "SELECT v FROM (SELECT DISTINCT " + column + " AS v FROM copy." + table + ") AS d"
            + " WHERE v IS NOT NULL ORDER BY md5(v::text) LIMIT 7";
        List<Object> sevenValues = new ArrayList<>();
        try (PreparedStatement statement = connection.prepareStatement(values);
                ResultSet result = statement.executeQuery()) {
            while (result.next()) {
                sevenValues.add(type == null ? result.getObject(1) : result.getObject(1, type));
            }
        }
        if (sevenValues.isEmpty()) throw new IllegalStateException(column + " has no values");
        // Booleans have two values; the statement is run often enough all the same.
        while (sevenValues.size() < 7) sevenValues.addAll(List.copyOf(sevenValues));
        String query = "SELECT id, " + column + " FROM awork." + table + " WHERE " + condition + " ORDER BY id";
        int found = 0;
        try (PreparedStatement foreign = connection.prepareStatement(query);
                PreparedStatement copy = connection.prepareStatement(query.replace("FROM awork.", "FROM copy."))) {
            for (Object value : sevenValues) {
                foreign.setObject(1, value);
                copy.setObject(1, value);
                List<List<Object>> rows = rows(foreign);
                List<List<Object>> expected = rows(copy);
                if (!rows.equals(expected)) equal(condition + " with " + value, rows, expected);
                found += rows.size();
            }
        }
        equal(condition + " with a " + (type == null ? "jsonb" : type.getSimpleName()), found > 0, true);
    }

    static void parameters() throws SQLException {
        parameter(UUID.class, "time_entries", "project_id", "project_id = ?");
        parameter(String.class, "projects", "name", "name = ?");
        parameter(String.class, "projects", "name", "name LIKE '%' || ? || '%'");
        parameter(Integer.class, "time_entries", "duration", "duration = ?");
        parameter(Integer.class, "time_entries", "duration", "duration > ?");
        parameter(Long.class, "tasks", "resource_version", "resource_version = ?");
        parameter(Double.class, "tasks", "subtask_order", "subtask_order <= ?");
        parameter(BigDecimal.class, "time_entries", "(duration / 60.0)", "duration / 60.0 >= ?");
        parameter(Boolean.class, "time_entries", "is_billable", "is_billable = ?");
        parameter(LocalDate.class, "time_bookings", "start_date", "start_date >= ?");
        parameter(LocalDateTime.class, "time_entries", "start_date_local", "start_date_local < ?");
        parameter(OffsetDateTime.class, "time_entries", "created_on", "created_on >= ?");
        parameter(LocalTime.class, "time_entries", "start_time_local", "start_time_local = ?");
        parameter(null, "projects", "tags", "tags = ?");
    }

    static void arrays() throws SQLException {
        array("uuid", "time_entries", "project_id");
        array("text", "tasks", "task_status_type");
        array("int4", "time_entries", "duration");
        array("timestamp", "time_entries", "start_date_local");
    }

    static void array(String type, String table, String column) throws SQLException {
        List<List<Object>> values = rows("SELECT v FROM (SELECT DISTINCT " + column + " AS v FROM copy."
            + table + ") AS d WHERE v IS NOT NULL ORDER BY md5(v::text) LIMIT 3");
        Array array = connection.createArrayOf(type, values.stream().map(row -> row.get(0)).toArray());
        List<List<List<Object>>> answers = new ArrayList<>();
        for (String schema : List.of("awork", "copy")) {
            try (PreparedStatement statement = connection.prepareStatement(
                    "SELECT id FROM " + schema + "." + table + " WHERE " + column + " = ANY (?) ORDER BY id")) {
                statement.setArray(1, array);
                answers.add(rows(statement));
            }
        }
        equal("= ANY with an array of " + type, answers.get(0), answers.get(1));
    }

    static void batches() throws Exception {
        String query = "SELECT id FROM awork.time_entries";
        List<List<Object>> expected = rows("SELECT id FROM copy.time_entries ORDER BY id::text");
        connection.setAutoCommit(false);
        sandbox("DELETE", "/log", null);
        List<List<Object>> found;
        try (PreparedStatement statement = connection.prepareStatement(query)) {
            statement.setFetchSize(50);
            found = rows(statement);
        }
        found.sort((a, b) -> a.get(0).toString().compareTo(b.get(0).toString()));
        equal("rows that are fetched in batches are all the rows", found, expected);
        long pages = requests();
        sandbox("DELETE", "/log", null);
        try (PreparedStatement statement = connection.prepareStatement(query)) {
            statement.setFetchSize(50);
            try (ResultSet result = statement.executeQuery()) {
                result.next();
            }
        }
        connection.commit();
        equal("a result that is closed early leaves pages unread", requests() < pages / 2, true);
        connection.setAutoCommit(true);
    }

    static void cancel() throws Exception {
        sandbox("POST", "/faults", "{\"path\": \"/timeentries\", \"kind\": \"latency\", \"ms\": 20000}");
        try (PreparedStatement statement = connection.prepareStatement("SELECT id FROM awork.time_entries")) {
            CompletableFuture<Long> cancelled = CompletableFuture.supplyAsync(() -> {
                try {
                    Thread.sleep(500);
                    statement.cancel();
                    return System.nanoTime();
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            });
            equal("cancel ends the statement", state(statement), "57014");
            long ended = System.nanoTime();
            equal("cancel takes effect within a second", ended - cancelled.get() < 1_000_000_000L, true);
        }
        nothingRuns("cancel");
        try (PreparedStatement statement = connection.prepareStatement("SELECT id FROM awork.time_entries")) {
            statement.setQueryTimeout(1);
            long started = System.nanoTime();
            equal("setQueryTimeout ends the statement", state(statement), "57014");
            equal("setQueryTimeout takes effect within a second of its time",
                System.nanoTime() - started < 2_000_000_000L, true);
        }
        nothingRuns("setQueryTimeout");
        sandbox("DELETE", "/faults", null);
        equal("the connection goes on", rows("SELECT count(*) FROM awork.time_entries"),
            rows("SELECT count(*) FROM copy.time_entries"));
    }

    static String state(PreparedStatement statement) {
        try (ResultSet result = statement.executeQuery()) {
            return "no error";
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }

    static void nothingRuns(String after) throws Exception {
        boolean runs = true;
        for (int i = 0; runs && i < 50; i++) {
            Thread.sleep(20);
            runs = log().contains("\"finished\":null");
        }
        equal("no request is left after " + after, runs, false);
        equal("no statement is left after " + after,
            rows("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND datname = current_database()"
                + " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"), List.of(List.of(0L)));
    }

    static long requests() throws Exception {
        return log().split("\"path\":\"[^\"]*/timeentries\"", -1).length - 1;
    }

    static String log() throws Exception {
        return sandbox("GET", "/log", null);
    }

    static String sandbox(String method, String path, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("AWORK_SANDBOX") + path))
            .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body)).build();
        return HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body();
    }
}
