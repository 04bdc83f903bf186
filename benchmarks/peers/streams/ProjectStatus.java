import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Events of a project folded into its state: last event, number of events, money paid.
 * Arguments: bootstrap, application id, input topic, output topic, state folder, threads.
 */
public final class ProjectStatus {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Serde<String> TEXT = Serdes.String();
  private static final Serde<byte[]> RAW = Serdes.ByteArray();

  public static void main(String[] args) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, args[4]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Integer.parseInt(args[5]));
    settings.put("auto.offset.reset", "earliest");
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(args[2], Consumed.with(TEXT, RAW))
        .groupByKey(Grouped.with(TEXT, RAW))
        .aggregate(
            () -> null,
            ProjectStatus::apply,
            Materialized.<String, byte[], KeyValueStore<Bytes, byte[]>>as("projects").withKeySerde(TEXT).withValueSerde(RAW))
        .toStream()
        .to(args[3], Produced.with(TEXT, RAW));
    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }

  private static byte[] apply(String key, byte[] value, byte[] known) {
    try {
      JsonNode event = JSON.readTree(value);
      JsonNode before = known == null ? JSON.createObjectNode() : JSON.readTree(known);
      JsonNode data = event.get("data");
      String type = event.get("type").textValue();
      long paid = before.path("disbursed").asLong(0);
      if (type.endsWith(".funds.disbursed.v1")) {
        paid += data.get("amount").asLong();
      }
      ObjectNode state = JSON.createObjectNode();
      state.put("version", before.path("version").asLong(0) + 1);
      state.put("last_type", type);
      state.set("last_id", event.get("id"));
      state.set("source", event.get("source"));
      state.set("event_time", event.get("time"));
      state.set("amount", data.get("amount"));
      state.set("milestone", data.get("milestone_id"));
      state.set("remark", data.get("remark"));
      state.put("disbursed", paid);
      return JSON.writeValueAsBytes(state);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
