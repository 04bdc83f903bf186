package dujiang.client;

import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.util.Set;
import java.util.function.DoubleSupplier;

/**
 * When to try again, and how long to wait before: doubling waits, drawn anew between half and all so that partners do not
 * come back together.
 *
 * @param attempts at most, the first included
 * @param first the first wait, before it is drawn
 * @param last the longest wait
 * @param waitMax a Retry-After longer than this is not waited for: the refusal is thrown and says it
 */
public record Retries(int attempts, Duration first, Duration last, Duration waitMax) {
    // Nobody knows what became of these, or they ask to come again. 409 only where the first request is still under way.
    static final Set<Integer> AGAIN = Set.of(207, 408, 425, 429, 500, 502, 503, 504);
    static final String IN_FLIGHT = "in_flight";
    private static final int DOUBLINGS_MAX = 30;
    private static final int DIGITS_MAX = 12;

    /** Six attempts within some seconds. */
    public static final Retries DEFAULT =
            new Retries(6, Duration.ofMillis(500), Duration.ofSeconds(30), Duration.ofSeconds(120));

    /** How long to wait after the attempt of that number, from 1. {@code retryAfter} may be null; {@code draw} gives 0 to 1. */
    public Duration wait(int attempt, Duration retryAfter, DoubleSupplier draw) {
        Duration doubled = first.multipliedBy(1L << Math.min(attempt - 1, DOUBLINGS_MAX));
        Duration backoff = part(doubled.compareTo(last) < 0 ? doubled : last, 0.5 + draw.getAsDouble() / 2);
        if (retryAfter == null) {
            return backoff;
        }
        Duration wanted = retryAfter.plus(part(first, draw.getAsDouble()));
        return wanted.compareTo(backoff) > 0 ? wanted : backoff;
    }

    /** Whether to give up after this attempt. */
    public boolean isLast(int attempt, Duration retryAfter) {
        return attempt >= attempts || (retryAfter != null && retryAfter.compareTo(waitMax) > 0);
    }

    /** Of a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3); null for neither. */
    static Duration retryAfter(String value, Instant now) {
        String words = value == null ? "" : value.strip();
        if (words.matches("[0-9]{1," + DIGITS_MAX + "}")) {
            return Duration.ofSeconds(Long.parseLong(words));
        }
        try {
            Instant then = DateTimeFormatter.RFC_1123_DATE_TIME.parse(words, Instant::from);
            return then.isAfter(now) ? Duration.between(now, then) : Duration.ZERO;
        } catch (DateTimeException neither) {
            return null;
        }
    }

    private static Duration part(Duration whole, double share) {
        return Duration.ofNanos(Math.round(whole.toNanos() * share));
    }
}
