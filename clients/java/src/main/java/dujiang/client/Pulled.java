package dujiang.client;

import java.util.List;
import java.util.Map;

/**
 * A page of a subscription's events. Store {@code cursor} once all of them are done: the next page begins there.
 *
 * @param withheld counts events that the subscription's owner may not see, by reason
 */
public record Pulled(List<Event> events, String cursor, boolean hasMore, Map<String, Long> withheld) {}
