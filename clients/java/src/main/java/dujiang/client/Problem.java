package dujiang.client;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Problem details (RFC 9457). Branch on {@code kind}, the stable end of {@code type}; the texts are for people. */
public record Problem(
        String kind, int status, String title, String detail, String next, String instance, List<Fault> faults) {

    /** One thing that is wrong: a stable code, a JSON pointer to it, and words for people. */
    public record Fault(String reason, String pointer, String detail) {}

    /** From the JSON object; whatever is missing or of another form is left out. */
    static Problem of(Map<String, Object> members, int status) {
        List<Fault> faults = new ArrayList<>();
        for (Object one : members.get("errors") instanceof List<?> errors ? errors : List.of()) {
            if (one instanceof Map<?, ?> fault) {
                faults.add(new Fault(text(fault, "reason"), text(fault, "pointer"), text(fault, "detail")));
            }
        }
        return new Problem(
                kind(text(members, "type")),
                status,
                text(members, "title"),
                text(members, "detail"),
                text(members, "next"),
                text(members, "instance"),
                List.copyOf(faults));
    }

    private static String text(Map<?, ?> members, String name) {
        return members.get(name) instanceof String text ? text : "";
    }

    private static String kind(String uri) {
        return uri.equals("about:blank") ? "" : uri.substring(Math.max(uri.lastIndexOf('/'), uri.lastIndexOf(':')) + 1);
    }
}
