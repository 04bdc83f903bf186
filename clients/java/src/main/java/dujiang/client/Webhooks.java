package dujiang.client;

import dujiang.client.DujiangException.SignatureInvalid;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.InvalidKeyException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.SignatureException;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.X509EncodedKeySpec;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Does a webhook come from the gateway: Standard Webhooks 1.0, HMAC-SHA256 ({@code v1}) and ed25519 ({@code v1a}).
 *
 * @see <a href="https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md">the standard</a>
 */
public final class Webhooks {
    public static final Duration TOLERANCE = Duration.ofMinutes(5);

    private static final int SIGNATURES_MAX = 20;
    private static final List<String> NAMES = List.of("webhook-id", "webhook-timestamp", "webhook-signature");
    private static final Pattern SECONDS = Pattern.compile("[0-9]{1,12}");
    private static final Pattern ID = Pattern.compile("[!-~&&[^.]]{1,255}");
    private static final byte[] SPKI = HexFormat.of().parseHex("302a300506032b6570032100"); // before the 32 bytes of a key

    private Webhooks() {}

    /** As the longer one, within {@link #TOLERANCE} of this machine's clock. */
    public static Delivery verify(byte[] body, Map<String, List<String>> headers, List<String> secrets) {
        return verify(body, headers, secrets, TOLERANCE, Clock.systemUTC());
    }

    /**
     * The delivery, if one of the secrets signed the body's exact bytes within the tolerance; both ways, since clocks differ.
     *
     * <p>A secret is {@code whsec_…} (v1) or the gateway's public key {@code whpk_…} (v1a). Hand in the old and the new one
     * while they are being changed. Names of headers are taken in any case.
     *
     * @throws SignatureInvalid when it proves nothing
     * @throws IllegalArgumentException for a secret that can be none
     */
    public static Delivery verify(
            byte[] body, Map<String, List<String>> headers, List<String> secrets, Duration tolerance, Clock clock) {
        if (secrets.isEmpty()) {
            throw new IllegalArgumentException("verify needs a secret: whsec_… or whpk_…");
        }
        List<Key> keys = secrets.stream().map(Webhooks::key).toList();
        Map<String, String> named = named(headers);
        String id = named.get("webhook-id");
        String timestamp = named.get("webhook-timestamp");
        if (!ID.matcher(id).matches()) {
            throw new SignatureInvalid("the header webhook-id is no id; it holds visible characters and no dot");
        }
        if (!SECONDS.matcher(timestamp).matches()) {
            throw new SignatureInvalid("the header webhook-timestamp is no whole number of seconds");
        }
        Instant sentAt = Instant.ofEpochSecond(Long.parseLong(timestamp));
        Duration age = Duration.between(sentAt, clock.instant());
        if (age.abs().compareTo(tolerance) > 0) {
            String side = age.abs().toSeconds() + (age.isNegative() ? " s ahead" : " s old");
            throw new SignatureInvalid(
                    "the webhook is " + side + ", at most " + tolerance.toSeconds() + " s; check this clock");
        }
        ByteArrayOutputStream signed = new ByteArrayOutputStream();
        signed.writeBytes((id + "." + timestamp + ".").getBytes(StandardCharsets.US_ASCII));
        signed.writeBytes(body);
        for (Given given : signatures(named.get("webhook-signature"))) {
            for (Key key : keys) {
                if (key.version().equals(given.version()) && key.signed(signed.toByteArray(), given.octets())) {
                    return new Delivery(id, sentAt, body.clone());
                }
            }
        }
        throw new SignatureInvalid(
                "no signature of the webhook is by one of the secrets; compare them with the subscription's");
    }

    private record Given(String version, byte[] octets) {}

    private interface Key {
        String version();

        boolean signed(byte[] content, byte[] signature);
    }

    private record Shared(SecretKeySpec secret) implements Key {
        @Override
        public String version() {
            return "v1";
        }

        @Override
        public boolean signed(byte[] content, byte[] signature) {
            try {
                Mac mac = Mac.getInstance("HmacSHA256");
                mac.init(secret);
                return MessageDigest.isEqual(mac.doFinal(content), signature); // takes the same time for all
            } catch (GeneralSecurityException error) {
                throw new IllegalStateException("this Java does not know HMAC-SHA256", error);
            }
        }
    }

    private record Public(PublicKey key) implements Key {
        @Override
        public String version() {
            return "v1a";
        }

        @Override
        public boolean signed(byte[] content, byte[] signature) {
            try {
                Signature verifying = Signature.getInstance("Ed25519");
                verifying.initVerify(key);
                verifying.update(content);
                return verifying.verify(signature);
            } catch (SignatureException | InvalidKeyException none) {
                return false;
            } catch (GeneralSecurityException error) {
                throw new IllegalStateException("this Java does not verify by the whpk_ key", error);
            }
        }
    }

    private static Map<String, String> named(Map<String, List<String>> headers) {
        Map<String, String> named = new TreeMap<>();
        headers.forEach((name, values) -> {
            String lower = name == null ? "" : name.toLowerCase(Locale.ROOT); // HttpURLConnection has a line without a name
            for (String value : NAMES.contains(lower) ? values : List.<String>of()) {
                if (named.put(lower, value) != null) {
                    throw new SignatureInvalid("the header " + lower + " came twice");
                }
            }
        });
        for (String name : NAMES) {
            if (!named.containsKey(name)) {
                throw new SignatureInvalid("the header " + name + " is missing");
            }
        }
        return named;
    }

    /** What can be read of the list; versions to come, and rubbish, are passed over. */
    private static List<Given> signatures(String header) {
        List<Given> read = new ArrayList<>();
        String[] tokens = header.strip().split("\\s+");
        for (String token : List.of(tokens).subList(0, Math.min(tokens.length, SIGNATURES_MAX))) {
            String[] parts = token.split(",", 2);
            byte[] octets = parts.length == 2 ? decoded(parts[1]) : null;
            if (octets != null) {
                read.add(new Given(parts[0], octets));
            }
        }
        return read;
    }

    private static Key key(String secret) {
        if (secret.startsWith("whpk_")) {
            byte[] raw = octets(secret.substring("whpk_".length()), 32, 32);
            ByteArrayOutputStream spki = new ByteArrayOutputStream();
            spki.writeBytes(SPKI);
            spki.writeBytes(raw);
            try {
                return new Public(KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(spki.toByteArray())));
            } catch (InvalidKeySpecException error) {
                throw new IllegalArgumentException("the secret after whpk_ is no Ed25519 key", error);
            } catch (GeneralSecurityException error) {
                throw new IllegalStateException("this Java does not know Ed25519", error);
            }
        }
        if (!secret.startsWith("whsec_")) {
            throw new IllegalArgumentException("a secret begins with whsec_ (shared) or whpk_ (the gateway's public key)");
        }
        return new Shared(new SecretKeySpec(octets(secret.substring("whsec_".length()), 24, 64), "HmacSHA256"));
    }

    private static byte[] octets(String text, int least, int most) {
        byte[] octets = decoded(text);
        if (octets == null || octets.length < least || octets.length > most) {
            throw new IllegalArgumentException(
                    "the secret is not " + least + " to " + most + " bytes in base64 after its prefix");
        }
        return octets;
    }

    /** Null for what is no Base64. */
    private static byte[] decoded(String text) {
        try {
            return text.length() % 4 == 0 ? Base64.getDecoder().decode(text) : null; // the decoder would do without padding
        } catch (IllegalArgumentException none) {
            return null;
        }
    }
}
