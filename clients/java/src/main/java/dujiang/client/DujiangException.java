package dujiang.client;

import java.time.Duration;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Whatever this package throws, but for wrong arguments (IllegalArgumentException).
 *
 * <pre>
 * DujiangException
 * ├── Refused            the gateway answered with a problem; nothing of the request counts
 * │   └── HistoryExpired   what the cursor points at is not kept any more; earliest() is where one can go on
 * ├── Unreachable        no answer that helps, after all tries; whether the request took effect is not known
 * └── SignatureInvalid   a webhook that does not prove where it comes from
 * </pre>
 */
@SuppressWarnings("serial") // nobody sends them anywhere
public abstract sealed class DujiangException extends RuntimeException {

    private DujiangException(String message, Throwable cause) {
        super(message, cause);
    }

    /** The gateway's refusal. */
    public static sealed class Refused extends DujiangException permits HistoryExpired {
        private final transient Problem problem;
        private final Duration retryAfter;

        Refused(Problem problem, Duration retryAfter) {
            super(words(problem), null);
            this.problem = problem;
            this.retryAfter = retryAfter;
        }

        public Problem problem() {
            return problem;
        }

        /** When to come again, where that helps. */
        public Optional<Duration> retryAfter() {
            return Optional.ofNullable(retryAfter);
        }

        private static String words(Problem problem) {
            String places = problem.faults().stream()
                    .limit(3)
                    .map(fault -> "; " + (fault.pointer().isEmpty() ? "request" : fault.pointer()) + ": " + fault.detail())
                    .collect(Collectors.joining());
            String kind = problem.kind().isEmpty() ? problem.title() : problem.kind();
            return (problem.status() + " " + kind + ": " + problem.detail() + places).strip();
        }
    }

    /** 410: events after the cursor are gone. To go on from {@code earliest} is to accept the gap. */
    public static final class HistoryExpired extends Refused {
        private final String earliest;

        HistoryExpired(Problem problem, String earliest) {
            super(problem, null);
            this.earliest = earliest;
        }

        public Optional<String> earliest() {
            return Optional.ofNullable(earliest);
        }
    }

    /** The last attempt's failure is the cause. */
    public static final class Unreachable extends DujiangException {
        Unreachable(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Do not act on this delivery; answer 401. */
    public static final class SignatureInvalid extends DujiangException {
        SignatureInvalid(String message) {
            super(message, null);
        }
    }
}
