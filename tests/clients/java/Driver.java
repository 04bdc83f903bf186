import dujiang.client.Client;
import dujiang.client.Delivery;
import dujiang.client.DujiangException;
import dujiang.client.DujiangException.HistoryExpired;
import dujiang.client.DujiangException.Refused;
import dujiang.client.Event;
import dujiang.client.Json;
import dujiang.client.Outcome;
import dujiang.client.Problem;
import dujiang.client.Pulled;
import dujiang.client.Receipt;
import dujiang.client.Retries;
import dujiang.client.Signer;
import dujiang.client.Webhooks;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Does with the client what each line of JSON on standard input says, and says in a line what came of it: see drivers.py. */
public final class Driver {

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Map<String, Object> order = Json.object(line);
            List<Object> waited = new ArrayList<>();
            Map<String, Object> said = new HashMap<>();
            try {
                said.put("value", done(order, waited));
            } catch (DujiangException error) {
                said.put("error", told(error));
            } catch (IllegalArgumentException error) {
                said.put("error", Map.of("name", "Argument", "message", error.getMessage()));
            }
            said.put("waited_s", waited);
            out.println(Json.write(said));
        }
    }

    private static Object done(Map<String, Object> order, List<Object> waited) {
        return switch (text(order, "do")) {
            case "publish" -> members(client(order, waited).publish(event(map(order, "event"))));
            case "publish_all" -> {
                List<Event> events = list(order, "events").stream().map(Driver::event).toList();
                yield client(order, waited).publishAll(events).stream().map(Driver::members).toList();
            }
            case "pull" -> members(
                    client(order, waited)
                            .pull(text(order, "subscription"), text(order, "cursor"), number(order, "limit"), wait(order)));
            case "pages" -> {
                List<Object> read = new ArrayList<>();
                Client client = client(order, waited);
                for (Pulled page : client.pages(text(order, "subscription"), null, number(order, "limit"), wait(order))) {
                    read.add(members(page));
                    if (read.size() == number(order, "count")) {
                        break;
                    }
                }
                yield read;
            }
            case "token" -> signer(map(order, "signer")).token();
            case "verify" -> members(verified(order), order.get("is_event") == Boolean.TRUE);
            case "json" -> Json.parse(text(order, "text"));
            case "write" -> Json.write(Arrays.asList(map(order, "value"), Double.valueOf(text(order, "double"))));
            default -> throw new IllegalStateException(order.toString());
        };
    }

    private static Delivery verified(Map<String, Object> order) {
        Map<String, List<String>> headers = new LinkedHashMap<>();
        for (Object pair : list(order, "headers")) {
            List<?> parts = (List<?>) pair;
            headers.computeIfAbsent((String) parts.get(0), name -> new ArrayList<>()).add((String) parts.get(1));
        }
        byte[] body = Base64.getDecoder().decode(text(order, "body"));
        List<String> secrets = list(order, "secrets").stream().map(String.class::cast).toList();
        if (!order.containsKey("now_s")) {
            return Webhooks.verify(body, headers, secrets);
        }
        Clock clock = Clock.fixed(Instant.ofEpochSecond(number(order, "now_s")), ZoneOffset.UTC);
        return Webhooks.verify(body, headers, secrets, Webhooks.TOLERANCE, clock);
    }

    private static Client client(Map<String, Object> order, List<Object> waited) {
        Map<String, Object> told = map(order, "client");
        Client.Builder made = Client.of(text(told, "gateway"))
                .sleep(time -> waited.add(time.toNanos() / 1e9))
                .draw(() -> told.get("draw") instanceof Number draw ? draw.doubleValue() : 1);
        if (told.get("token") instanceof String token) {
            made.auth(token);
        }
        if (told.get("signer") != null) {
            made.auth(signer(map(told, "signer")));
        }
        if (told.get("language") instanceof String language) {
            made.language(language);
        }
        if (told.get("timeout_s") instanceof Number timeout) {
            made.timeout(seconds(timeout));
        }
        Retries usual = Retries.DEFAULT;
        return made.retries(new Retries(
                        told.get("attempts") instanceof Number attempts ? attempts.intValue() : usual.attempts(),
                        told.get("first_s") instanceof Number first ? seconds(first) : usual.first(),
                        told.get("last_s") instanceof Number last ? seconds(last) : usual.last(),
                        usual.waitMax()))
                .build();
    }

    private static Signer signer(Map<String, Object> told) {
        String[] scopes = list(told, "scopes").toArray(String[]::new);
        return Signer.of(text(told, "partner"), text(told, "kid"), text(told, "pem"), text(told, "audience"), scopes);
    }

    private static Event event(Object told) {
        Map<String, Object> fields = map(Map.of("event", told), "event");
        if (fields.get("members") != null) {
            return new Event(map(fields, "members"));
        }
        Event event = Event.of(text(fields, "type"), text(fields, "source"), text(fields, "subject"), fields.get("data"));
        if (fields.get("id") != null) {
            event = event.with("id", text(fields, "id"));
        }
        if (fields.get("time") != null) {
            event = event.with("time", Instant.parse(text(fields, "time")));
        }
        for (Map.Entry<String, Object> extension : map(fields, "extensions").entrySet()) {
            event = event.with(extension.getKey(), extension.getValue());
        }
        return event;
    }

    // --- what came of it, as JSON ---

    private static Map<String, Object> told(DujiangException error) {
        Map<String, Object> told = new HashMap<>();
        told.put("name", error.getClass().getSimpleName());
        told.put("message", error.getMessage());
        if (error instanceof Refused refused) {
            told.put("problem", members(refused.problem()));
            told.put("retry_after_s", refused.retryAfter().map(time -> time.toMillis() / 1e3).orElse(null));
        }
        if (error instanceof HistoryExpired expired) {
            told.put("earliest", expired.earliest().orElse(null));
        }
        return told;
    }

    private static Map<String, Object> members(Problem problem) {
        return Map.of(
                "kind", problem.kind(),
                "status", problem.status(),
                "title", problem.title(),
                "detail", problem.detail(),
                "next", problem.next(),
                "instance", problem.instance(),
                "faults", problem.faults().stream().map(Driver::members).toList());
    }

    private static Map<String, Object> members(Problem.Fault fault) {
        return Map.of("reason", fault.reason(), "pointer", fault.pointer(), "detail", fault.detail());
    }

    private static Map<String, Object> members(Receipt receipt) {
        return Map.of(
                "id", receipt.id(),
                "source", receipt.source(),
                "receipt", receipt.receipt(),
                "topic", receipt.topic(),
                "partition", receipt.partition(),
                "offset", receipt.offset());
    }

    private static Map<String, Object> members(Outcome outcome) {
        if (outcome instanceof Outcome.Accepted accepted) {
            return Map.of("id", accepted.event().id(), "receipt", members(accepted.receipt()));
        }
        Outcome.Rejected rejected = (Outcome.Rejected) outcome;
        List<Object> faults = rejected.faults().stream().<Object>map(Driver::members).toList();
        return Map.of("id", rejected.event().id(), "kind", rejected.problem().kind(), "faults", faults);
    }

    private static Map<String, Object> members(Pulled page) {
        return Map.of(
                "events", page.events().stream().map(Event::members).toList(),
                "cursor", page.cursor(),
                "has_more", page.hasMore(),
                "withheld", page.withheld());
    }

    private static Map<String, Object> members(Delivery delivery, boolean isEvent) {
        Map<String, Object> told = new HashMap<>();
        told.put("id", delivery.id());
        told.put("sent_at_s", delivery.sentAt().getEpochSecond());
        told.put("body", Base64.getEncoder().encodeToString(delivery.body()));
        told.put("event", isEvent ? delivery.event().members() : null);
        return told;
    }

    // --- what the order says ---

    private static String text(Map<String, Object> order, String name) {
        return (String) order.get(name);
    }

    private static int number(Map<String, Object> order, String name) {
        return ((Number) order.get(name)).intValue();
    }

    private static Duration wait(Map<String, Object> order) {
        return Duration.ofSeconds(number(order, "wait_s"));
    }

    private static Duration seconds(Number seconds) {
        return Duration.ofNanos(Math.round(seconds.doubleValue() * 1e9));
    }

    private static List<?> list(Map<String, Object> order, String name) {
        return order.get(name) instanceof List<?> items ? items : List.of();
    }

    private static Map<String, Object> map(Map<String, Object> order, String name) {
        Map<String, Object> members = new LinkedHashMap<>();
        if (order.get(name) instanceof Map<?, ?> found) {
            found.forEach((key, value) -> members.put((String) key, value));
        }
        return members;
    }
}
