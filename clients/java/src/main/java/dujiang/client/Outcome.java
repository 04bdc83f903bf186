package dujiang.client;

import java.util.List;

/** What became of one event of a batch. */
public sealed interface Outcome {
    Event event();

    /** This event is written. */
    record Accepted(Event event, Receipt receipt) implements Outcome {}

    /**
     * This event is not. {@code faults} are its own; none means that it is sound and was held back with its batch, or that
     * Kafka did not confirm it: send it again.
     */
    record Rejected(Event event, Problem problem, List<Problem.Fault> faults) implements Outcome {}
}
