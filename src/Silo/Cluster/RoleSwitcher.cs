using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Control.Cluster;
using Krewe.Silo.Links;

namespace Krewe.Silo.Cluster;

/// <summary>
/// Carries out <see cref="PoolScaler"/>'s advice that a worker of one phase should do the other: the one with the
/// fewest sequences is emptied by live migration and takes the new role without a restart.
/// Invariant: one silo of a cluster does it, one worker at a time.
/// </summary>
internal sealed class RoleSwitcher(
    SiloOptions options, ISiloRoster roster, ClusterView view, MigrationAgent agent, DecisionLog decisions,
    TimeProvider time)
{
    /// <summary>To empty a worker and to have it back; then it is left as it was, and the next advice tries
    /// again.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private int _busy;

    /// <summary>
    /// Nothing happens where it was not asked for, where another silo does it, while a switch is under way, or without
    /// a worker that does this phase alone.
    /// </summary>
    [SuppressMessage("Design", "CA1031", Justification =
        "A grain call can fail in any way its host has; nobody waits for this task, so the log must tell it.")]
    public async Task SwitchAsync(SwitchRole advice)
    {
        if (!options.SwitchRoles || !roster.IsFirst(options.SiloId)) return;
        if (Interlocked.Exchange(ref _busy, 1) == 1) return;
        try
        {
            var from = RoleOf(advice.From);
            var chosen = view.Links
                .Where(link => link.Descriptor.Role == from && link.View.State == WorkerState.Ready)
                .OrderBy(link => link.AttemptCount)
                .ThenBy(link => link.Worker.WorkerId, StringComparer.Ordinal)
                .FirstOrDefault();
            if (chosen is null) return;
            var id = chosen.Worker.WorkerId;
            var isDone = await agent.SwitchRoleAsync(id, RoleOf(advice.To), Limit, CancellationToken.None);
            decisions.Add(time.GetUtcNow(), "role", isDone
                ? $"made {id} a {Name(advice.To)} worker: {advice.Reason}"
                : $"could not empty {id} and have it back as a {Name(advice.To)} worker within {Limit.TotalSeconds} s");
        }
        catch (Exception e)
        {
            decisions.Add(time.GetUtcNow(), "role", $"could not change a worker's role: {e.Message}");
        }
        finally
        {
            Volatile.Write(ref _busy, 0);
        }
    }

    private static WorkerRole RoleOf(PoolPhase phase) =>
        phase == PoolPhase.Prefill ? WorkerRole.Prefill : WorkerRole.Decode;

    private static string Name(PoolPhase phase) => phase == PoolPhase.Prefill ? "prefill" : "decode";
}
