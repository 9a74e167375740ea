using Krewe.Abstractions;

namespace Krewe.Grains;

/// <summary>
/// How a request's grain moves a running sequence: implemented by the silo over worker links and the request's token
/// stream, which is the arbiter between the current epoch and its successor. No method blocks.
/// </summary>
public interface IMigrationPort
{
    /// <summary>
    /// Allows <paramref name="plan"/>'s epoch as the stream's successor and tells the target to take the sequence over.
    /// Throws <see cref="KreweException"/> (WorkerLost) when a link is gone, (ClientClosedRequest) when the stream has
    /// ended; then nothing was sent.
    /// </summary>
    void Migrate(RequestSpec spec, RoutePlan plan, WorkerIncarnation source, int sourceEpoch);

    /// <summary>Forbids the successor; false when the stream has adopted it already.</summary>
    bool TryRevoke(RequestSpec spec, RoutePlan plan);

    /// <summary>Forbids the successor and tells its worker to free what it holds of it.</summary>
    void AbortMigration(RequestSpec spec, RoutePlan plan, string reason);
}
