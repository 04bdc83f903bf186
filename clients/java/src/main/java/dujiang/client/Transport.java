package dujiang.client;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.Map;

/**
 * HTTP as the client uses it: a request in, a response out. The seam for tests, proxies and other HTTP libraries.
 *
 * <p>It follows no redirects and tries nothing again: the client does what is right.
 */
@FunctionalInterface
public interface Transport {
    Response send(Request request) throws Failed, InterruptedException;

    /** {@code body} is empty for a GET. */
    record Request(String method, URI uri, Map<String, String> headers, byte[] body, Duration timeout) {}

    /** Names of headers are in lower case. */
    record Response(int status, Map<String, String> headers, byte[] body) {}

    /** No whole response came; whether the request took effect is not known. */
    @SuppressWarnings("serial")
    class Failed extends IOException {
        public Failed(String message, Throwable cause) {
            super(message, cause);
        }
    }
}
