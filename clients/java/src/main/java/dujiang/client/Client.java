package dujiang.client;

import dujiang.client.DujiangException.Refused;
import dujiang.client.DujiangException.Unreachable;
import dujiang.client.Transport.Request;
import dujiang.client.Transport.Response;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.DoubleSupplier;
import java.util.function.Supplier;

/**
 * Publishes to a gateway and pulls from it: one gateway, one partner. Several threads may use it at once.
 *
 * <p>What it throws is a {@link DujiangException}. A thread that is interrupted gets Unreachable, and keeps its interrupt.
 */
public final class Client {
    public static final int PAGE_EVENTS = 100;
    public static final Duration WAIT = Duration.ofSeconds(20);

    private static final String STRUCTURED = "application/cloudevents+json";
    private static final String BATCH = "application/cloudevents-batch+json";
    private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]");
    private static final byte[] NOTHING = {};

    private final String base;
    private final Supplier<String> auth;
    private final String language;
    private final Retries retries;
    private final Duration timeout;
    private final Transport transport;
    private final Sleep sleep;
    private final DoubleSupplier draw;

    private Client(Builder told) {
        base = base(told.gateway, told.auth != null);
        auth = told.auth;
        language = told.language;
        retries = told.retries;
        timeout = told.timeout;
        transport = told.transport == null ? new HttpTransport() : told.transport;
        sleep = told.sleep;
        draw = told.draw;
    }

    /** A client of the gateway at that address, such as {@code https://gateway.bureau.example}. */
    public static Builder of(String gateway) {
        return new Builder(gateway);
    }

    /**
     * Write one event; the receipt means that all in-sync replicas have it.
     *
     * <p>An event whose outcome is not known may be published again: under its {@code source} and {@code id} it counts once.
     *
     * @throws Refused when the gateway does not take it
     * @throws Unreachable when no answer helped
     */
    public Receipt publish(Event event) {
        return Answers.receipt(post(STRUCTURED, event.members()));
    }

    /**
     * Write a batch, at most 1,000 events and 8 MiB; an outcome for each, in order.
     *
     * <p>All are checked before any is written. When one is faulty none is written: {@code Rejected.faults} says what is
     * wrong with which, and those without faults were held back with it.
     *
     * @throws Refused when the batch as a whole was
     * @throws Unreachable when no answer helped
     */
    public List<Outcome> publishAll(List<Event> events) {
        if (events.isEmpty()) {
            return List.of();
        }
        Response answer;
        try {
            answer = post(BATCH, events.stream().map(Event::members).toList());
        } catch (Refused refused) {
            return Answers.outcomes(events, refused);
        }
        return Answers.outcomes(events, answer);
    }

    /** As the longer one, with {@link #PAGE_EVENTS} and {@link #WAIT}. */
    public Pulled pull(String subscription, String cursor) {
        return pull(subscription, cursor, PAGE_EVENTS, WAIT);
    }

    /**
     * The next page after the cursor; without one (null) from where the subscription began. Waits so long for an event.
     *
     * @throws DujiangException.HistoryExpired when events after the cursor were deleted unread
     * @throws Refused when the gateway does not give it
     * @throws Unreachable when no answer helped
     */
    public Pulled pull(String subscription, String cursor, int limit, Duration wait) {
        String query = "?limit=" + limit + "&wait=" + wait.toSeconds() + (cursor == null ? "" : "&cursor=" + quoted(cursor));
        String path = "/subscriptions/" + quoted(subscription) + "/events" + query;
        return Answers.page(answer("GET", path, Map.of(), NOTHING, timeout.plus(wait)));
    }

    /** As the longer one, with {@link #PAGE_EVENTS} and {@link #WAIT}. */
    public Iterable<Pulled> pages(String subscription, String cursor) {
        return pages(subscription, cursor, PAGE_EVENTS, WAIT);
    }

    /** Page after page, for ever; those without events too, since their cursor moves on. Throws as {@link #pull} does. */
    public Iterable<Pulled> pages(String subscription, String cursor, int limit, Duration wait) {
        return () -> new Iterator<>() {
            private String from = cursor;

            @Override
            public boolean hasNext() {
                return true;
            }

            @Override
            public Pulled next() {
                Pulled page = pull(subscription, from, limit, wait);
                from = page.cursor();
                return page;
            }
        };
    }

    private Response post(String contentType, Object value) {
        // One key for all attempts: a repeat of a request that was accepted gets the first receipts.
        String key = '"' + UUID.randomUUID().toString() + '"';
        Map<String, String> headers = Map.of("content-type", contentType, "idempotency-key", key);
        return answer("POST", "/events", headers, Json.octets(Json.write(value)), timeout);
    }

    /** The answer of the attempt that helped, or of the last one if it says more than that it failed. */
    private Response answer(String method, String path, Map<String, String> headers, byte[] body, Duration timeout) {
        URI uri = URI.create(base + path);
        try {
            for (int attempt = 1; ; attempt++) {
                Duration wanted = null;
                try {
                    // Each attempt has a token of its own: a signed one works once.
                    Response answer = transport.send(new Request(method, uri, withOwn(headers), body, timeout));
                    wanted = Retries.retryAfter(answer.headers().get("retry-after"), Instant.now());
                    if (!Answers.isWorthRepeating(answer) || retries.isLast(attempt, wanted)) {
                        return Answers.checked(answer, wanted);
                    }
                } catch (Transport.Failed failure) {
                    if (attempt >= retries.attempts()) {
                        throw new Unreachable("no answer after " + attempt + " attempts: " + failure.getMessage(), failure);
                    }
                }
                sleep.sleep(retries.wait(attempt, wanted, draw));
            }
        } catch (InterruptedException interrupt) {
            Thread.currentThread().interrupt();
            throw new Unreachable("interrupted before an answer came", interrupt);
        }
    }

    private Map<String, String> withOwn(Map<String, String> headers) {
        Map<String, String> all = new HashMap<>(headers);
        all.put("accept", "application/json");
        all.put("accept-language", language);
        all.put("user-agent", "dujiang-client");
        if (auth != null) {
            all.put("authorization", "Bearer " + auth.get());
        }
        return all;
    }

    private static String quoted(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    private static String base(String gateway, boolean isWithToken) {
        URI address;
        try {
            address = URI.create(gateway);
        } catch (IllegalArgumentException none) {
            address = URI.create("");
        }
        String scheme = address.getScheme() == null ? "" : address.getScheme().toLowerCase(Locale.ROOT);
        boolean isHttp = Set.of("http", "https").contains(scheme) && address.getHost() != null;
        if (!isHttp || address.getRawUserInfo() != null || address.getRawQuery() != null || address.getRawFragment() != null) {
            throw new IllegalArgumentException(
                    "'" + gateway + "' is no gateway's address; write https://gateway.bureau.example");
        }
        if (isWithToken && scheme.equals("http") && !LOOPBACK.contains(address.getHost().toLowerCase(Locale.ROOT))) {
            throw new IllegalArgumentException("'" + gateway + "': whoever listens would read the token; use https");
        }
        return gateway.replaceAll("/+$", "");
    }

    /** Waits; a test's does not. */
    @FunctionalInterface
    public interface Sleep {
        void sleep(Duration time) throws InterruptedException;
    }

    /** What a client may be told beside the gateway's address. */
    public static final class Builder {
        private final String gateway;
        private Supplier<String> auth;
        private String language = "en";
        private Retries retries = Retries.DEFAULT;
        private Duration timeout = Duration.ofSeconds(30);
        private Transport transport;
        private Sleep sleep = time -> Thread.sleep(time.toMillis());
        private DoubleSupplier draw = () -> ThreadLocalRandom.current().nextDouble();

        private Builder(String gateway) {
            this.gateway = gateway;
        }

        /** The API token. Without token and signer nobody is named, for a gateway that asks nobody. */
        public Builder auth(String token) {
            auth = () -> token;
            return this;
        }

        /** A key of one's own instead of a token. */
        public Builder auth(Signer signer) {
            auth = signer::token;
            return this;
        }

        /** Of the texts of problems: en (the default) or zh. */
        public Builder language(String chosen) {
            language = chosen;
            return this;
        }

        public Builder retries(Retries chosen) {
            retries = chosen;
            return this;
        }

        /** Of one attempt; 30 s by default. A pull has its wait more. */
        public Builder timeout(Duration chosen) {
            timeout = chosen;
            return this;
        }

        public Builder transport(Transport chosen) {
            transport = chosen;
            return this;
        }

        public Builder sleep(Sleep chosen) {
            sleep = chosen;
            return this;
        }

        /** Gives 0 to 1. */
        public Builder draw(DoubleSupplier chosen) {
            draw = chosen;
            return this;
        }

        /**
         * The client.
         *
         * @throws IllegalArgumentException for an address that would send a token in the open
         */
        public Client build() {
            return new Client(this);
        }
    }
}
