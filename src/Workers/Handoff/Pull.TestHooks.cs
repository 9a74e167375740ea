namespace Krewe.Workers;

/// <summary>Where fault tests can keep a pull.</summary>
internal sealed partial class Pull
{
    private Task HoldInHandoffAsync(CancellationToken cancellationToken) =>
        _hold is null
            ? Task.CompletedTask
            : _hold.StayIfClaimedAsync(HoldPhase.Handoff, cancellationToken);

    private Task HoldBeforeCommitAsync(CancellationToken cancellationToken) =>
        _hold is null ? Task.CompletedTask : _hold.StayIfClaimedAsync(HoldPhase.BeforeCommit, cancellationToken);
}
