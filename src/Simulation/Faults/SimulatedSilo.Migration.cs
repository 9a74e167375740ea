using Krewe.Abstractions;
using Krewe.Control.Requests;

namespace Krewe.Simulation.Faults;

/// <summary>
/// Wishes to move running sequences, and the owner's stream as arbiter: one successor may take the current epoch's
/// place, once, and only until it is revoked.
/// </summary>
internal sealed partial class SimulatedSilo
{
    /// <summary>Now and then somebody wants the sequence on some worker, which may be gone, full or the same.</summary>
    private void MayWishElsewhere(SimulatedRequest request)
    {
        if (!world.Faulty || world.Plan.MovePerMille == 0 || !world.Random.Chance(world.Plan.MovePerMille)) return;
        var targets = world.Workers.Where(worker => worker.Role != WorkerRole.Prefill).ToArray();
        var target = targets[world.Random.Between(0, targets.Length - 1)];
        world.After(world.Random.Between(0, 30) * FaultWorld.Millisecond, () =>
            Feed(request, new MigrationRequested(world.UtcNow, target.Identity, "a wish")));
    }

    /// <summary>False when a link is gone, so that nobody was told.</summary>
    private bool TryMigrate(SimulatedRequest request, DispatchMigration migrate)
    {
        var target = world.Worker(migrate.Plan.Decode.WorkerId);
        if (target.Control is not { } control || world.Worker(migrate.Source.WorkerId).Control is null) return false;
        request.Successor = migrate.Plan.Epoch;
        var start = new StartCommand(
            Key(request, migrate.Plan.Epoch), SequencePart.Migrate, request.Prompt, [.. request.Stream],
            request.MaxOutputTokens, migrate.Source.WorkerId, migrate.SourceEpoch);
        control.Send(() => target.Local(0, () => target.Start(start)));
        return true;
    }

    /// <summary>The successor has committed: from now on only its tokens count. False when it was revoked.</summary>
    private static bool TryAdopt(SimulatedRequest request, int epoch)
    {
        if (request.Successor != epoch) return epoch == request.StreamEpoch;
        (request.StreamEpoch, request.Successor) = (epoch, null);
        return true;
    }

    /// <summary>Nothing of this successor will ever be taken; false when it was adopted already.</summary>
    private static bool TryRevoke(SimulatedRequest request, int epoch)
    {
        if (request.StreamEpoch >= epoch) return false;
        if (request.Successor == epoch) request.Successor = null;
        return true;
    }
}
