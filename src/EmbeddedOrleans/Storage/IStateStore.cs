namespace Krewe.EmbeddedOrleans;

/// <summary>Keeps records as bytes. Every change names the version it replaces.</summary>
internal interface IStateStore
{
    /// <returns>The record's JSON, or null if there is none.</returns>
    /// <exception cref="InvalidDataException">The record is damaged.</exception>
    Task<byte[]?> ReadAsync(StateKey key);

    /// <param name="etag">Version that is replaced; null = there must be none.</param>
    /// <exception cref="Orleans.Storage.InconsistentStateException">Another version is there.</exception>
    Task WriteAsync(StateKey key, byte[] json, string? etag);

    /// <inheritdoc cref="WriteAsync"/>
    Task ClearAsync(StateKey key, string? etag);
}
