// What pgJDBC makes of every call.  See test/t/072_clients.pl.

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class WithJdbc {
    static final String APPLY = "SELECT version FROM migrate.apply(target => ?, note => ?)";
    static final String APPLY_PROJECT = "SELECT version FROM migrate.apply(project => ?)";
    static final String EACH = "CALL migrate.apply_each(target => ?, note => ?, project => ?)";
    static final String EACH_PROJECT = "CALL migrate.apply_each(project => ?)";

    static Connection connection;

    static String json(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    static String rows(ResultSet result) throws SQLException {
        List<String> rows = new ArrayList<>();
        while (result != null && result.next()) {
            List<String> row = new ArrayList<>();
            for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) {
                row.add(json(String.valueOf(result.getString(i))));
            }
            rows.add("[" + String.join(",", row) + "]");
        }
        return "\"rows\":[" + String.join(",", rows) + "]";
    }

    static String fields(PSQLException error) {
        ServerErrorMessage said = error.getServerErrorMessage();
        int position = said.getInternalPosition();
        return "\"sqlstate\":" + json(error.getSQLState())
            + ",\"message\":" + json(said.getMessage())
            + ",\"detail\":" + json(said.getDetail())
            + ",\"hint\":" + json(said.getHint())
            + ",\"where\":" + json(said.getWhere())
            + ",\"position\":" + (position == 0 ? "null" : json(String.valueOf(position)))
            + ",\"query\":" + json(said.getInternalQuery());
    }

    /** Make a call; report its rows or every field of its error. */
    static void attempt(String step, String call, String... parameters) throws SQLException {
        String facts;
        List<String> notices = new ArrayList<>();
        try (PreparedStatement statement = connection.prepareStatement(call)) {
            for (int i = 0; i < parameters.length; i++) {
                statement.setString(i + 1, parameters[i]);
            }
            try {
                statement.execute();
                facts = rows(statement.getResultSet());
            } catch (PSQLException error) {
                facts = fields(error);
            }
            for (SQLWarning w = statement.getWarnings(); w != null; w = w.getNextWarning()) {
                notices.add(json(w.getMessage()));
            }
        }
        System.out.println("{\"step\":" + json(step) + "," + facts
            + ",\"notices\":[" + String.join(",", notices) + "]}");
    }

    public static void main(String[] arguments) throws SQLException {
        connection = DriverManager.getConnection(System.getenv("JDBC_URL"));

        connection.setAutoCommit(false);
        attempt("apply", APPLY, "001", "sent by the client");
        connection.commit();
        attempt("refused", EACH, null, null, "each");
        connection.rollback();
        attempt("forgotten", APPLY, "002", null);
        connection.rollback();

        // the default
        connection.setAutoCommit(true);
        attempt("apply again", APPLY, "002", null);
        attempt("apply, located", APPLY_PROJECT, "located");
        attempt("apply, raised", APPLY_PROJECT, "raised");
        attempt("each", EACH, "e2", "sent by the client", "each");
        attempt("each, rest", EACH_PROJECT, "each");
        attempt("each, nothing", EACH_PROJECT, "each");
        attempt("each, located", EACH_PROJECT, "located");
        attempt("each, raised", EACH_PROJECT, "raised");
        // the name is that of a prepared statement of the server from now on
        connection.unwrap(org.postgresql.PGConnection.class).setPrepareThreshold(1);
        attempt("each, prepared", EACH_PROJECT, "each");
        attempt("each, prepared again", EACH_PROJECT, "each");
        connection.close();
    }
}
