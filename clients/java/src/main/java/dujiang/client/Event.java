package dujiang.client;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;

/**
 * A CloudEvent 1.0.2 as its JSON members. {@code id} and {@code source} name it for ever: publish it again and nothing
 * happens twice.
 *
 * <p>Members are what {@link Json} reads and writes. JSON of one's own: {@code new Event(Json.object(text))}.
 */
public record Event(Map<String, Object> members) {

    public Event {
        members = Collections.unmodifiableMap(new LinkedHashMap<>(members));
    }

    /** An event that happens now, under a new UUID; {@link #with} gives it another time or id. {@code data} may be null. */
    public static Event of(String type, String source, String subject, Object data) {
        Map<String, Object> members = new LinkedHashMap<>();
        members.put("specversion", "1.0");
        members.put("id", UUID.randomUUID().toString());
        members.put("source", source);
        members.put("type", type);
        members.put("subject", subject);
        members.put("time", Instant.now().truncatedTo(ChronoUnit.MICROS).toString());
        if (data != null) {
            members.put("datacontenttype", "application/json");
            members.put("data", data);
        }
        return new Event(members);
    }

    /** The same event with another value of an attribute: a String, Integer, Boolean or Instant. */
    public Event with(String attribute, Object value) {
        Map<String, Object> changed = new LinkedHashMap<>(members);
        changed.put(attribute, value instanceof Instant ? value.toString() : value);
        return new Event(changed);
    }

    public String id() {
        return text("id");
    }

    public String source() {
        return text("source");
    }

    public String type() {
        return text("type");
    }

    public String subject() {
        return text("subject");
    }

    /** As {@link Json#parse} gives it; null without data. */
    public Object data() {
        return members.get("data");
    }

    private String text(String attribute) {
        return members.get(attribute) instanceof String text ? text : null;
    }
}
