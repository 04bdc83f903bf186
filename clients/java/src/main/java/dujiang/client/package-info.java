/**
 * A partner's side of a Dujiang gateway: publish events, verify webhooks, pull a subscription's events.
 *
 * <p>{@link dujiang.client.Client} is what to begin with; {@link dujiang.client.Webhooks} stands alone, for whoever only
 * receives.
 */
package dujiang.client;
