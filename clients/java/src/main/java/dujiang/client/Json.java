package dujiang.client;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * JSON (RFC 8259) as Map, List, String, Number, Boolean and null; for another library, hand its text over by {@link #parse}.
 *
 * <p>Read are whole numbers as Long, or BigInteger where they are too large, and others as BigDecimal: none loses a digit.
 */
public final class Json {
    public static final int DEPTH_MAX = 256;
    public static final int DIGITS_MAX = 1_000;
    private static final Pattern NUMBER = Pattern.compile("-?(?:0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?");

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /**
     * What the text says. Of a name that comes twice the last value holds.
     *
     * @throws IllegalArgumentException for what is no JSON, is deeper than {@link #DEPTH_MAX} or has numbers longer than
     * {@link #DIGITS_MAX}
     */
    public static Object parse(String text) {
        Json reader = new Json(text);
        Object value = reader.value(0);
        reader.peek();
        if (reader.at < text.length()) {
            throw reader.wrong("something follows");
        }
        return value;
    }

    /**
     * The members of the object that the text says.
     *
     * @throws IllegalArgumentException as of {@link #parse}, and for another value than an object
     */
    public static Map<String, Object> object(String text) {
        return members(parse(text));
    }

    /**
     * Compact JSON of Map, Iterable, CharSequence, Number, Boolean and null.
     *
     * @throws IllegalArgumentException for another class, NaN and infinities, and what is deeper than {@link #DEPTH_MAX}
     */
    public static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out, 0);
        return out.toString();
    }

    @SuppressWarnings("unchecked") // a reader's maps have no other names than strings
    static Map<String, Object> members(Object value) {
        if (value instanceof Map<?, ?> members) {
            return (Map<String, Object>) members;
        }
        throw new IllegalArgumentException("it is no JSON object");
    }

    /** The text of UTF-8. Throws IllegalArgumentException for other octets. */
    static String text(byte[] octets) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(octets)).toString();
        } catch (CharacterCodingException error) {
            throw new IllegalArgumentException("it is no UTF-8", error);
        }
    }

    /** UTF-8 of the text. Throws IllegalArgumentException for half a surrogate pair, which has none. */
    static byte[] octets(String text) {
        try {
            ByteBuffer encoded = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
            byte[] octets = new byte[encoded.remaining()];
            encoded.get(octets);
            return octets;
        } catch (CharacterCodingException error) {
            throw new IllegalArgumentException("a text holds half a surrogate pair", error);
        }
    }

    // --- reading ---

    private Object value(int depth) {
        if (depth > DEPTH_MAX) {
            throw wrong("more than " + DEPTH_MAX + " levels");
        }
        return switch (peek()) {
            case '{' -> object(depth);
            case '[' -> list(depth);
            case '"' -> string();
            case 't' -> word("true", true);
            case 'f' -> word("false", false);
            case 'n' -> word("null", null);
            default -> number();
        };
    }

    private Map<String, Object> object(int depth) {
        Map<String, Object> members = new LinkedHashMap<>();
        at++;
        if (peek() == '}') {
            at++;
            return members;
        }
        do {
            if (peek() != '"') {
                throw wrong("no name");
            }
            String name = string();
            if (!isNext(':')) {
                throw wrong("no colon");
            }
            members.put(name, value(depth + 1));
        } while (isNext(','));
        if (!isNext('}')) {
            throw wrong("no end of the object");
        }
        return members;
    }

    private List<Object> list(int depth) {
        List<Object> items = new ArrayList<>();
        at++;
        if (peek() == ']') {
            at++;
            return items;
        }
        do {
            items.add(value(depth + 1));
        } while (isNext(','));
        if (!isNext(']')) {
            throw wrong("no end of the list");
        }
        return items;
    }

    private String string() {
        StringBuilder read = new StringBuilder();
        for (at++; at < text.length(); at++) {
            char next = text.charAt(at);
            if (next == '"') {
                at++;
                return read.toString();
            }
            if (next < ' ') {
                throw wrong("a control character");
            }
            read.append(next == '\\' ? escaped() : next);
        }
        throw wrong("no end of the text");
    }

    /** What stands after a backslash; ends on its last character. */
    private char escaped() {
        at++;
        int found = at < text.length() ? "\"\\/bfnrt".indexOf(text.charAt(at)) : -1;
        if (found >= 0) {
            return "\"\\/\b\f\n\r\t".charAt(found);
        }
        if (text.startsWith("u", at) && at + 4 < text.length()) {
            try {
                int code = HexFormat.fromHexDigits(text, at + 1, at + 5);
                at += 4;
                return (char) code;
            } catch (NumberFormatException none) {
                throw wrong("no hexadecimal number");
            }
        }
        throw wrong("no escape");
    }

    private Number number() {
        Matcher found = NUMBER.matcher(text).region(at, text.length());
        if (!found.lookingAt()) {
            throw wrong("no value");
        }
        String digits = found.group();
        if (digits.length() > DIGITS_MAX) {
            throw wrong("more than " + DIGITS_MAX + " digits");
        }
        at = found.end();
        if (found.group(1) == null && found.group(2) == null) {
            BigInteger whole = new BigInteger(digits);
            return whole.bitLength() < Long.SIZE ? (Number) whole.longValue() : whole;
        }
        try {
            return new BigDecimal(digits);
        } catch (NumberFormatException beyond) {
            throw wrong("an exponent that is too large");
        }
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw wrong("no value");
        }
        at += word.length();
        return value;
    }

    private boolean isNext(char wanted) {
        boolean isThere = peek() == wanted;
        at += isThere ? 1 : 0;
        return isThere;
    }

    /** The next character that is no white space; white space at the end, where nothing fits. */
    private char peek() {
        while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        return at < text.length() ? text.charAt(at) : ' ';
    }

    private IllegalArgumentException wrong(String what) {
        return new IllegalArgumentException("it is no JSON: " + what + " at character " + at);
    }

    // --- writing ---

    private static void write(Object value, StringBuilder out, int depth) {
        if (depth > DEPTH_MAX) {
            throw new IllegalArgumentException("more than " + DEPTH_MAX + " levels are no JSON here");
        }
        if (value == null || value instanceof Boolean) {
            out.append(value);
        } else if (value instanceof CharSequence words) {
            write(words, out);
        } else if (value instanceof Number number) {
            if (!NUMBER.matcher(number.toString()).matches()) {
                throw new IllegalArgumentException(number + " is no number of JSON");
            }
            out.append(number);
        } else if (value instanceof Map<?, ?> members) {
            String comma = "{";
            for (Map.Entry<?, ?> member : members.entrySet()) {
                if (!(member.getKey() instanceof CharSequence name)) {
                    throw new IllegalArgumentException("names of members are strings");
                }
                write(name, out.append(comma));
                write(member.getValue(), out.append(':'), depth + 1);
                comma = ",";
            }
            out.append(members.isEmpty() ? "{}" : "}");
        } else if (value instanceof Iterable<?> items) {
            out.append('[');
            int begin = out.length();
            for (Object item : items) {
                write(item, out.length() == begin ? out : out.append(','), depth + 1);
            }
            out.append(']');
        } else {
            throw new IllegalArgumentException(
                    value.getClass() + " is no JSON; hand over a Map, List, String, Number or Boolean");
        }
    }

    private static void write(CharSequence words, StringBuilder out) {
        out.append('"');
        for (int index = 0; index < words.length(); index++) {
            char next = words.charAt(index);
            if (next == '"' || next == '\\') {
                out.append('\\').append(next);
            } else if (next < ' ') {
                out.append("\\u").append(HexFormat.of().toHexDigits(next));
            } else {
                out.append(next);
            }
        }
        out.append('"');
    }
}
