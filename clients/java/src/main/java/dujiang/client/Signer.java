package dujiang.client;

import java.nio.charset.StandardCharsets;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.interfaces.ECKey;
import java.security.interfaces.EdECKey;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Clock;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A partner's own key in the place of a token: a JWT for each request, EdDSA or ES256. */
public final class Signer {
    private static final long LIFE_S = 60;
    private static final Pattern PEM =
            Pattern.compile("-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\\s]+)-----END PRIVATE KEY-----");

    private final String partner;
    private final String kid;
    private final PrivateKey key;
    private final String audience;
    private final List<String> scopes;
    private final Clock clock;
    private final boolean isEd25519;

    /**
     * Signs by an Ed25519 or P-256 key, such as one of a KeyStore. {@code audience} is the gateway's name, as its operator
     * gives it. {@code scopes} narrow what the tokens may; without any they may all that the partner may.
     *
     * @throws IllegalArgumentException for another kind of key
     */
    public Signer(String partner, String kid, PrivateKey key, String audience, List<String> scopes, Clock clock) {
        this.partner = partner;
        this.kid = kid;
        this.key = key;
        this.audience = audience;
        this.scopes = List.copyOf(scopes);
        this.clock = clock;
        this.isEd25519 = key instanceof EdECKey edwards && edwards.getParams().getName().equals("Ed25519");
        if (!isEd25519 && !isP256(key)) {
            throw new IllegalArgumentException(
                    "only Ed25519 and P-256 keys sign here: openssl genpkey -algorithm ed25519 -out key.pem");
        }
    }

    /**
     * Signs by a key in PEM (PKCS #8, without a password).
     *
     * @throws IllegalArgumentException for another kind of key
     */
    public static Signer of(String partner, String kid, String pem, String audience, String... scopes) {
        return new Signer(partner, kid, privateKey(pem), audience, List.of(scopes), Clock.systemUTC());
    }

    /** A token for one request: a repeat of the request needs another. */
    public String token() {
        long nowS = clock.instant().getEpochSecond();
        Map<String, Object> claims = new LinkedHashMap<>();
        claims.put("iss", partner);
        claims.put("aud", audience);
        claims.put("iat", nowS);
        claims.put("exp", nowS + LIFE_S);
        claims.put("jti", UUID.randomUUID().toString());
        if (!scopes.isEmpty()) {
            claims.put("scope", String.join(" ", scopes));
        }
        Map<String, Object> head = Map.of("alg", isEd25519 ? "EdDSA" : "ES256", "kid", kid, "typ", "JWT");
        String signed = part(head) + "." + part(claims);
        return signed + "." + encoded(signature(signed.getBytes(StandardCharsets.US_ASCII)));
    }

    private byte[] signature(byte[] content) {
        try {
            // JWTs carry the two numbers side by side (RFC 7518, 3.4), not as DER.
            Signature signing = Signature.getInstance(isEd25519 ? "Ed25519" : "SHA256withECDSAinP1363Format");
            signing.initSign(key);
            signing.update(content);
            return signing.sign();
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException("the key " + kid + " does not sign", error);
        }
    }

    private static boolean isP256(PrivateKey key) {
        try {
            AlgorithmParameters named = AlgorithmParameters.getInstance("EC");
            named.init(new ECGenParameterSpec("secp256r1"));
            ECParameterSpec curve = named.getParameterSpec(ECParameterSpec.class);
            return key instanceof ECKey elliptic && elliptic.getParams().getCurve().equals(curve.getCurve());
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException("this Java does not know P-256", error);
        }
    }

    private static PrivateKey privateKey(String pem) {
        Matcher found = PEM.matcher(pem);
        if (found.find()) {
            PKCS8EncodedKeySpec spec = new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(found.group(1)));
            for (String algorithm : List.of("Ed25519", "EC")) {
                try {
                    return KeyFactory.getInstance(algorithm).generatePrivate(spec);
                } catch (InvalidKeySpecException another) {
                    continue;
                } catch (GeneralSecurityException error) {
                    throw new IllegalStateException("this Java does not know " + algorithm, error);
                }
            }
        }
        throw new IllegalArgumentException(
                "the private key is none in PEM of Ed25519 or P-256 without a password; openssl pkcs8 -topk8 -nodes makes one");
    }

    private static String part(Map<String, Object> members) {
        return encoded(Json.write(members).getBytes(StandardCharsets.UTF_8));
    }

    private static String encoded(byte[] octets) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(octets);
    }
}
