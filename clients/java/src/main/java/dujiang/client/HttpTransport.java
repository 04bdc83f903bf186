package dujiang.client;

import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The JDK's HTTP client, which keeps connections open. Several threads may use it at once. */
public final class HttpTransport implements Transport {
    private static final int RESPONSE_BYTES_MAX = 64 * 1024 * 1024;

    private final HttpClient http;

    public HttpTransport() {
        this(HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build());
    }

    /**
     * With proxy, client certificates or whatever else that client has.
     *
     * @throws IllegalArgumentException for one that follows redirects: a token is for one address
     */
    public HttpTransport(HttpClient http) {
        if (http.followRedirects() != HttpClient.Redirect.NEVER) {
            throw new IllegalArgumentException("the HTTP client must follow no redirects");
        }
        this.http = http;
    }

    @Override
    public Response send(Request request) throws Failed, InterruptedException {
        HttpRequest.Builder made = HttpRequest.newBuilder(request.uri());
        request.headers().forEach(made::header);
        made.method(
                request.method(),
                request.body().length == 0 ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(request.body()));
        // The request's own time-out would end with the headers: here it holds for the body, too.
        CompletableFuture<HttpResponse<byte[]>> asked = http.sendAsync(made.build(), headers -> new Body());
        try {
            HttpResponse<byte[]> answer = asked.get(request.timeout().toMillis(), TimeUnit.MILLISECONDS);
            return new Response(answer.statusCode(), lowered(answer.headers().map()), answer.body());
        } catch (ExecutionException error) {
            if (error.getCause() instanceof IOException failure) {
                throw failed(request, failure);
            }
            throw new IllegalStateException(error.getCause());
        } catch (TimeoutException late) {
            throw failed(request, new IOException("no whole answer within " + request.timeout().toSeconds() + " s", late));
        } finally {
            asked.cancel(true);
        }
    }

    private static Failed failed(Request request, IOException cause) {
        String place = request.uri().getScheme() + "://" + request.uri().getRawAuthority() + request.uri().getRawPath();
        return new Failed(request.method() + " " + place + ": " + cause, cause);
    }

    private static Map<String, String> lowered(Map<String, List<String>> headers) {
        Map<String, String> lowered = new HashMap<>();
        headers.forEach((name, values) -> lowered.put(name.toLowerCase(Locale.ROOT), values.get(0)));
        return lowered;
    }

    /** The whole body, if it is not too long. */
    private static final class Body implements HttpResponse.BodySubscriber<byte[]> {
        private final CompletableFuture<byte[]> whole = new CompletableFuture<>();
        private final List<ByteBuffer> held = new ArrayList<>();
        private int bytes;
        private Flow.Subscription subscription;

        @Override
        public CompletionStage<byte[]> getBody() {
            return whole;
        }

        @Override
        public void onSubscribe(Flow.Subscription given) {
            subscription = given;
            subscription.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(List<ByteBuffer> parts) {
            held.addAll(parts);
            bytes += parts.stream().mapToInt(ByteBuffer::remaining).sum();
            if (bytes > RESPONSE_BYTES_MAX) {
                subscription.cancel();
                whole.completeExceptionally(new IOException("the answer has more than " + RESPONSE_BYTES_MAX + " bytes"));
            }
        }

        @Override
        public void onError(Throwable error) {
            whole.completeExceptionally(error);
        }

        @Override
        public void onComplete() {
            ByteBuffer joined = ByteBuffer.allocate(bytes);
            held.forEach(joined::put);
            whole.complete(joined.array());
        }
    }
}
