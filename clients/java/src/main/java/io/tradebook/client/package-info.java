/**
 * The channel that connects the generated stubs of {@code io.tradebook.v1} with a tradebook server:
 * {@link io.tradebook.client.TradebookChannel}.
 */
package io.tradebook.client;
