package dujiang.client;

import dujiang.client.DujiangException.HistoryExpired;
import dujiang.client.DujiangException.Refused;
import dujiang.client.DujiangException.Unreachable;
import dujiang.client.Problem.Fault;
import dujiang.client.Transport.Response;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** What the gateway's answers say. */
final class Answers {
    private static final Pattern POINTER = Pattern.compile("/?([0-9]{1,9})(/.+)?/?", Pattern.DOTALL);

    private Answers() {}

    static boolean isWorthRepeating(Response answer) {
        return Retries.AGAIN.contains(answer.status())
                || (answer.status() == 409 && problem(answer).kind().equals(Retries.IN_FLIGHT));
    }

    /** The answer, if it is none of a refusal. {@code wanted} is its Retry-After, or null. */
    static Response checked(Response answer, Duration wanted) {
        if (answer.status() >= 200 && answer.status() < 300) {
            return answer;
        }
        if (answer.status() != 410) {
            throw new Refused(problem(answer), wanted);
        }
        String earliest = members(answer).get("earliest_cursor") instanceof String cursor ? cursor : null;
        throw new HistoryExpired(problem(answer), earliest);
    }

    static Receipt receipt(Response answer) {
        return understood(answer, members -> receipt(needed(members, "receipts", List.class).iterator()));
    }

    /** Of 202 and 207: receipts stand in the events' order, problems say where they belong. */
    static List<Outcome> outcomes(List<Event> events, Response answer) {
        return understood(answer, members -> {
            Map<Integer, Problem> problems = new HashMap<>();
            for (Object one : members.containsKey("problems") ? needed(members, "problems", List.class) : List.of()) {
                Map<String, Object> told = Json.members(one);
                int status = needed(told, "status", Long.class).intValue();
                problems.put(needed(told, "index", Long.class).intValue(), Problem.of(told, status));
            }
            Iterator<?> receipts = needed(members, "receipts", List.class).iterator();
            List<Outcome> outcomes = new ArrayList<>();
            for (Event event : events) {
                Problem problem = problems.get(outcomes.size());
                outcomes.add(
                        problem == null
                                ? new Outcome.Accepted(event, receipt(receipts))
                                : new Outcome.Rejected(event, problem, problem.faults()));
            }
            return List.copyOf(outcomes);
        });
    }

    /** Of a refusal that points at events: each with its own faults. Another refusal is thrown again. */
    static List<Outcome> outcomes(List<Event> events, Refused refused) {
        List<List<Fault>> faults = IntStream.range(0, events.size()).<List<Fault>>mapToObj(index -> new ArrayList<>()).toList();
        for (Fault fault : refused.problem().faults()) {
            Matcher pointer = POINTER.matcher(fault.pointer());
            if (pointer.matches() && Integer.parseInt(pointer.group(1)) < events.size()) {
                String rest = pointer.group(2) == null ? "" : pointer.group(2);
                faults.get(Integer.parseInt(pointer.group(1))).add(new Fault(fault.reason(), rest, fault.detail()));
            }
        }
        if (faults.stream().allMatch(List::isEmpty)) {
            throw refused;
        }
        return IntStream.range(0, events.size())
                .<Outcome>mapToObj(index ->
                        new Outcome.Rejected(events.get(index), refused.problem(), List.copyOf(faults.get(index))))
                .toList();
    }

    static Pulled page(Response answer) {
        return understood(answer, members -> {
            List<Event> events = new ArrayList<>();
            for (Object event : needed(members, "events", List.class)) {
                events.add(new Event(Json.members(event)));
            }
            Map<String, Long> withheld = new LinkedHashMap<>();
            if (members.get("withheld") instanceof Map<?, ?> counts) {
                counts.forEach((reason, count) -> withheld.put((String) reason, ((Number) count).longValue()));
            }
            boolean hasMore = Boolean.TRUE.equals(members.get("has_more"));
            return new Pulled(List.copyOf(events), needed(members, "cursor", String.class), hasMore, Map.copyOf(withheld));
        });
    }

    private static Receipt receipt(Iterator<?> receipts) {
        Map<String, Object> members = Json.members(receipts.hasNext() ? receipts.next() : null);
        return new Receipt(
                needed(members, "id", String.class),
                needed(members, "source", String.class),
                needed(members, "receipt", String.class),
                needed(members, "topic", String.class),
                needed(members, "partition", Long.class).intValue(),
                needed(members, "offset", Long.class));
    }

    private static <T> T needed(Map<String, Object> members, String name, Class<T> kind) {
        if (!kind.isInstance(members.get(name))) {
            throw new IllegalArgumentException("it has no '" + name + "'");
        }
        return kind.cast(members.get(name));
    }

    /** What is read of an answer. A proxy's page with status 200 is no answer of the gateway's. */
    private static <T> T understood(Response answer, Function<Map<String, Object>, T> read) {
        try {
            return read.apply(Json.object(Json.text(answer.body())));
        } catch (IllegalArgumentException | ClassCastException error) {
            String what = "the answer " + answer.status() + " is not the gateway's; is the address right? ";
            throw new Unreachable(what + error.getMessage(), error);
        }
    }

    /** Also of an answer that is none, as a proxy's in between. */
    private static Problem problem(Response answer) {
        return Problem.of(members(answer), answer.status());
    }

    private static Map<String, Object> members(Response answer) {
        try {
            return Json.object(Json.text(answer.body()));
        } catch (IllegalArgumentException none) {
            return Map.of("detail", "an answer of " + answer.body().length + " bytes that is no problem");
        }
    }
}
