namespace Krewe.Workers;

/// <summary>
/// Where a fault test can keep the source in the middle of a handoff: something is sent, not everything said.
/// </summary>
internal sealed partial class PullerConnection
{
    private Task HoldInHandoffAsync(CancellationToken cancellationToken) =>
        hold is null ? Task.CompletedTask : hold.StayIfClaimedAsync(HoldPhase.Handoff, cancellationToken);
}
