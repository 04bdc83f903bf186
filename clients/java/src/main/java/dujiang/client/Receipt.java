package dujiang.client;

/** The gateway's word that all in-sync replicas have the event. A repeat gets the same receipt. */
public record Receipt(String id, String source, String receipt, String topic, int partition, long offset) {}
