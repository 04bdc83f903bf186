package dujiang.client;

import java.time.Instant;

/** A webhook that proved its origin. {@code id} stays the same when it is sent again: use it to do things once. */
public record Delivery(String id, Instant sentAt, byte[] body) {

    /**
     * The CloudEvent.
     *
     * @throws IllegalArgumentException when the body is no JSON object
     */
    public Event event() {
        return new Event(Json.object(Json.text(body)));
    }
}
