namespace Krewe.Workers;

/// <summary>
/// Where a fault test can keep the source in the middle of a handoff: one block is sent, the others are not.
/// </summary>
internal sealed partial class PullerConnection
{
    private Task HoldInHandoffAsync(CancellationToken cancellationToken) =>
        hold is null ? Task.CompletedTask : hold.StayIfClaimedAsync(HoldPhase.Handoff, cancellationToken);
}
