// PostgreSQL's JDBC driver against sherd: what applications and their tools do through it.
// usage: java -cp postgresql.jar JdbcTest.java HOST PORT       (run as one source file, JDK 11 or newer)

import java.math.BigDecimal;
import java.sql.*;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Properties;

public class JdbcTest {
    interface Body { void run(Connection c) throws Exception; }

    static String url;
    static int failed;

    static void expect(Object have, Object want) {
        if (!Objects.equals(have, want)) {
            throw new AssertionError("have " + have + ", want " + want);
        }
    }

    static void test(String name, Properties p, Body body) {
        try (Connection c = DriverManager.getConnection(url, p)) {
            body.run(c);
            System.out.println("ok " + name);
        } catch (Throwable t) {
            failed++;
            System.out.println("FAILED " + name + ": " + t);
            for (StackTraceElement e : t.getStackTrace()) {
                if (e.getClassName().startsWith("JdbcTest")) {
                    System.out.println("    at " + e);
                }
            }
        }
    }

    static void test(String name, Body body) {
        Properties p = new Properties();
        p.setProperty("user", "sherd");
        test(name, p, body);
        p.setProperty("prepareThreshold", "1"); // named statements and binary transfer at once
        test(name + " (server-prepared)", p, body);
        p.setProperty("preferQueryMode", "simple");
        p.remove("prepareThreshold");
        test(name + " (simple)", p, body);
    }

    static void run(Connection c, String... statements) throws SQLException {
        try (Statement s = c.createStatement()) {
            for (String sql : statements) {
                s.execute(sql);
            }
        }
    }

    static List<String> column(ResultSet rs, String name) throws SQLException {
        List<String> out = new ArrayList<>();
        while (rs.next()) {
            out.add(rs.getString(name));
        }
        return out;
    }

    static String one(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery(sql)) {
            return rs.next() ? rs.getString(1) : null;
        }
    }

    static boolean isSimple(Connection c) throws Exception {
        return "simple".equals(c.unwrap(org.postgresql.PGConnection.class).getPreferQueryMode().value());
    }

    static void types(Connection c) throws Exception {
        run(c, "DROP TABLE IF EXISTS jdbc_types",
            "CREATE TABLE jdbc_types (i2 int2, i4 int4 PRIMARY KEY, i8 int8, f8 float8, n numeric(12,3), b bool, t text, "
            + "v varchar(20), c char(5), d date, ts timestamp, tz timestamptz, by bytea, u uuid, ia int[])");
        try (PreparedStatement p = c.prepareStatement("INSERT INTO jdbc_types VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")) {
            p.setShort(1, (short) -7);
            p.setInt(2, 42);
            p.setLong(3, 1L << 60);
            p.setDouble(4, 1.5);
            p.setBigDecimal(5, new BigDecimal("123456.789"));
            p.setBoolean(6, true);
            p.setString(7, "text with ' and \u00e4\u20ac\ud83d\ude00");
            p.setString(8, "varchar");
            p.setString(9, "ab");
            p.setObject(10, LocalDate.of(2024, 2, 29));
            p.setObject(11, LocalDateTime.of(2024, 2, 29, 12, 34, 56, 789000000));
            p.setTimestamp(12, new Timestamp(1700000000123L));
            if (isSimple(c)) { // there the driver cannot send bytes
                p.setNull(13, Types.BINARY);
            } else {
                p.setBytes(13, new byte[] {0, 1, (byte) 255});
            }
            p.setObject(14, java.util.UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"));
            p.setArray(15, c.createArrayOf("int4", new Object[] {1, null, 3}));
            expect(p.executeUpdate(), 1);
            for (int i = 1; i <= 15; i++) {
                p.setObject(i, i == 2 ? (Object) 43 : null, i == 2 ? Types.INTEGER : Types.NULL);
            }
            expect(p.executeUpdate(), 1);
        }
        try (PreparedStatement p = c.prepareStatement("SELECT * FROM jdbc_types WHERE i4 >= ? ORDER BY i4")) {
            p.setInt(1, 42);
            for (int round = 0; round < 6; round++) { // the driver changes to binary after five
                try (ResultSet rs = p.executeQuery()) {
                    expect(rs.next(), true);
                    expect(rs.getShort(1), (short) -7);
                    expect(rs.getInt(2), 42);
                    expect(rs.getLong(3), 1L << 60);
                    expect(rs.getDouble(4), 1.5);
                    expect(rs.getBigDecimal(5), new BigDecimal("123456.789"));
                    expect(rs.getBoolean(6), true);
                    expect(rs.getString(7), "text with ' and \u00e4\u20ac\ud83d\ude00");
                    expect(rs.getString(9), "ab   ");
                    expect(rs.getObject(10, LocalDate.class), LocalDate.of(2024, 2, 29));
                    expect(rs.getObject(11, LocalDateTime.class), LocalDateTime.of(2024, 2, 29, 12, 34, 56, 789000000));
                    expect(rs.getTimestamp(12).getTime(), 1700000000123L);
                    expect(isSimple(c) || rs.getBytes(13)[2] == (byte) 255, true);
                    expect(rs.getObject(14).toString(), "00112233-4455-6677-8899-aabbccddeeff");
                    expect(((Integer[]) rs.getArray(15).getArray())[2], 3);
                    expect(rs.next(), true);
                    expect(rs.getObject(1), null);
                    expect(rs.getObject(15), null);
                    expect(rs.next(), false);
                    ResultSetMetaData m = rs.getMetaData();
                    expect(m.getColumnCount(), 15);
                    expect(m.getColumnTypeName(5), "numeric");
                    expect(m.getPrecision(5), 12);
                    expect(m.getScale(5), 3);
                    expect(m.getPrecision(8), 20);
                    expect(m.getColumnType(13), Types.BINARY);
                    expect(m.getTableName(1), "jdbc_types");
                    expect(m.isNullable(2), ResultSetMetaData.columnNoNulls);
                    expect(m.isAutoIncrement(2), false);
                }
            }
        }
    }

    static void batches(Connection c) throws Exception {
        run(c, "DROP TABLE IF EXISTS jdbc_batch", "CREATE TABLE jdbc_batch (a serial PRIMARY KEY, b text UNIQUE)");
        try (PreparedStatement p = c.prepareStatement("INSERT INTO jdbc_batch (b) VALUES (?)")) {
            for (int i = 0; i < 500; i++) {
                p.setString(1, "b" + i);
                p.addBatch();
            }
            int[] counts = p.executeBatch();
            expect(counts.length, 500);
            expect(counts[499], 1);
        }
        expect(one(c, "SELECT count(*) FROM jdbc_batch"), "500");
        try (PreparedStatement p = c.prepareStatement("INSERT INTO jdbc_batch (b) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            p.setString(1, "key");
            p.executeUpdate();
            try (ResultSet rs = p.getGeneratedKeys()) {
                expect(rs.next(), true);
                expect(rs.getInt("a") > 500, true);
            }
        }
        c.setAutoCommit(false);
        try (PreparedStatement p = c.prepareStatement("INSERT INTO jdbc_batch (b) VALUES (?)")) {
            for (String s : new String[] {"x", "b7", "y"}) {
                p.setString(1, s);
                p.addBatch();
            }
            p.executeBatch();
            throw new AssertionError("a duplicate is taken");
        } catch (BatchUpdateException e) {
            expect(e.getSQLState(), "23505");
            c.rollback();
        }
        c.setAutoCommit(true);
        expect(one(c, "SELECT count(*) FROM jdbc_batch WHERE b IN ('x', 'y')"), "0");
    }

    static void transactions(Connection c) throws Exception {
        run(c, "DROP TABLE IF EXISTS jdbc_txn", "CREATE TABLE jdbc_txn (a int PRIMARY KEY, b int)");
        c.setAutoCommit(false);
        c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        expect(c.getTransactionIsolation(), Connection.TRANSACTION_SERIALIZABLE);
        run(c, "INSERT INTO jdbc_txn VALUES (1, 1)");
        Savepoint sp = c.setSavepoint("here");
        run(c, "INSERT INTO jdbc_txn VALUES (2, 2)");
        c.rollback(sp);
        c.releaseSavepoint(sp);
        c.commit();
        run(c, "INSERT INTO jdbc_txn VALUES (3, 3)");
        c.rollback();
        expect(one(c, "SELECT string_agg(a::text, ',') FROM jdbc_txn"), "1");
        c.commit();
        c.setReadOnly(true);
        try {
            run(c, "INSERT INTO jdbc_txn VALUES (4, 4)");
            throw new AssertionError("a write in a read-only transaction");
        } catch (SQLException e) {
            expect(e.getSQLState(), "25006");
        }
        c.rollback();
        c.setReadOnly(false);
        for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ}) {
            c.setTransactionIsolation(level);
            expect(c.getTransactionIsolation(), level);
            c.rollback();
        }
        // A cursor by fetch size: a portal that is read in parts.
        run(c, "INSERT INTO jdbc_txn SELECT g, g FROM generate_series(10, 1009) g");
        try (Statement s = c.createStatement()) {
            s.setFetchSize(100);
            int n = 0;
            try (ResultSet rs = s.executeQuery("SELECT a FROM jdbc_txn WHERE a >= 10 ORDER BY a")) {
                while (rs.next()) {
                    expect(rs.getInt(1), 10 + n++);
                }
            }
            expect(n, 1000);
        }
        c.commit();
        c.setAutoCommit(true);
        if (!isSimple(c)) { // the driver leaves that to the server, which only knows it in the extended flow
            try (Statement s = c.createStatement()) {
                s.setMaxRows(5);
                try (ResultSet rs = s.executeQuery("SELECT a FROM jdbc_txn")) {
                    expect(column(rs, "a").size(), 5);
                }
            }
        }
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            s.execute("SELECT pg_sleep(20)");
            throw new AssertionError("no timeout");
        } catch (SQLException e) {
            expect(e.getSQLState(), "57014");
        }
        expect(c.isValid(5), true);
    }

    static void metadata(Connection c) throws Exception {
        run(c, "DROP VIEW IF EXISTS jdbc_view", "DROP TABLE IF EXISTS jdbc_child", "DROP TABLE IF EXISTS jdbc_parent",
            "CREATE TABLE jdbc_parent (x int, y varchar(30) NOT NULL DEFAULT 'z', z serial, PRIMARY KEY (y, x))",
            "CREATE TABLE jdbc_child (id int PRIMARY KEY, y varchar(30), x int, n numeric(9,2), "
            + "CONSTRAINT child_fk FOREIGN KEY (y, x) REFERENCES jdbc_parent (y, x))",
            "CREATE UNIQUE INDEX jdbc_child_n ON jdbc_child (n, id)",
            "CREATE VIEW jdbc_view AS SELECT id, n FROM jdbc_child");
        DatabaseMetaData m = c.getMetaData();
        expect(m.getDatabaseProductName(), "PostgreSQL");
        expect(m.getDatabaseMajorVersion(), 15);
        expect(column(m.getTables(null, "public", "jdbc_%", new String[] {"TABLE"}), "TABLE_NAME").containsAll(
            List.of("jdbc_child", "jdbc_parent")), true);
        expect(column(m.getTables(null, null, "jdbc_view", new String[] {"VIEW"}), "TABLE_NAME"), List.of("jdbc_view"));
        expect(column(m.getSchemas(), "TABLE_SCHEM").contains("public"), true);
        expect(column(m.getCatalogs(), "TABLE_CAT").contains("sherd"), true);
        expect(column(m.getTableTypes(), "TABLE_TYPE").contains("TABLE"), true);
        try (ResultSet rs = m.getImportedKeys(null, "public", "jdbc_child")) {
            List<String> keys = new ArrayList<>();
            while (rs.next()) {
                keys.add(rs.getString("FKCOLUMN_NAME") + ">" + rs.getString("PKTABLE_NAME") + "." + rs.getString("PKCOLUMN_NAME")
                    + " " + rs.getString("FK_NAME"));
            }
            expect(keys, List.of("y>jdbc_parent.y child_fk", "x>jdbc_parent.x child_fk"));
        }
        expect(column(m.getExportedKeys(null, "public", "jdbc_parent"), "FKTABLE_NAME"), List.of("jdbc_child", "jdbc_child"));
        expect(column(m.getTypeInfo(), "TYPE_NAME").contains("int4"), true);
        expect(m.getFunctions(null, null, "abs").next() || true, true);
        expect(m.getProcedures(null, null, "no_such_thing").next(), false);
        expect(m.getTablePrivileges(null, "public", "jdbc_child") != null, true);
        expect(m.getMaxColumnNameLength(), 63);
        // Describing a statement before it runs.
        if (!isSimple(c)) {
            try (PreparedStatement p = c.prepareStatement("SELECT id, n FROM jdbc_child WHERE id = ? AND y = ?")) {
                expect(p.getMetaData().getColumnLabel(2), "n");
                expect(p.getParameterMetaData().getParameterTypeName(1), "int4");
                expect(p.getParameterMetaData().getParameterTypeName(2), "text");
            }
        }
    }

    static void errors(Connection c) throws Exception {
        run(c, "DROP TABLE IF EXISTS jdbc_err", "CREATE TABLE jdbc_err (a int PRIMARY KEY)", "INSERT INTO jdbc_err VALUES (1)");
        String[][] cases = {{"SELEC 1", "42601"}, {"SELECT * FROM no_such", "42P01"}, {"INSERT INTO jdbc_err VALUES (1)", "23505"},
                            {"SELECT 1/0", "22012"}, {"INSERT INTO jdbc_err VALUES (NULL)", "23502"}};
        for (String[] x : cases) {
            try {
                run(c, x[0]);
                throw new AssertionError(x[0] + " is taken");
            } catch (SQLException e) {
                expect(e.getSQLState(), x[1]);
            }
        }
        expect(one(c, "SELECT 1"), "1");
        try (Statement s = c.createStatement()) { // several results of one call
            expect(s.execute("SELECT 1; INSERT INTO jdbc_err VALUES (2); SELECT 3"), true);
            expect(s.getMoreResults(), false);
            expect(s.getUpdateCount(), 1);
            expect(s.getMoreResults(), true);
            try (ResultSet rs = s.getResultSet()) {
                rs.next();
                expect(rs.getInt(1), 3);
            }
        }
        expect(one(c, "SELECT {fn upper('a')} || {d '2024-01-02'}"), "A2024-01-02");
    }

    static void copies(Connection c) throws Exception {
        run(c, "DROP TABLE IF EXISTS jdbc_copy", "CREATE TABLE jdbc_copy (a int PRIMARY KEY, b text)");
        Object manager = c.unwrap(Class.forName("org.postgresql.PGConnection"));
        Object copy = manager.getClass().getMethod("getCopyAPI").invoke(manager);
        long n = (Long) copy.getClass().getMethod("copyIn", String.class, java.io.Reader.class)
            .invoke(copy, "COPY jdbc_copy FROM STDIN", new java.io.StringReader("1\tone\n2\ttwo\n"));
        expect(n, 2L);
        java.io.StringWriter out = new java.io.StringWriter();
        copy.getClass().getMethod("copyOut", String.class, java.io.Writer.class)
            .invoke(copy, "COPY (SELECT * FROM jdbc_copy ORDER BY a) TO STDOUT", out);
        expect(out.toString(), "1\tone\n2\ttwo\n");
    }

    public static void main(String[] args) throws Exception {
        url = "jdbc:postgresql://" + args[0] + ":" + args[1] + "/sherd";
        test("types", JdbcTest::types);
        test("batches", JdbcTest::batches);
        test("transactions", JdbcTest::transactions);
        test("metadata", JdbcTest::metadata);
        test("errors", JdbcTest::errors);
        test("copies", JdbcTest::copies);
        System.exit(failed > 0 ? 1 : 0);
    }
}
