namespace Krewe.Workers;

/// <summary>Where fault tests can keep the engine thread. Without a hold file each hook is one null check.</summary>
internal sealed partial class Engine
{
    private const int DecodedBeforeHold = 3;

    private readonly PhaseHold? _hold;

    private void HoldQueued()
    {
        if (_hold is null) return;
        _outbox.Flush();
        _hold.StayIfClaimed(HoldPhase.Queued);
    }

    private void HoldBeforeStep(List<StepPart> planned)
    {
        if (_hold is null) return;
        _outbox.Flush();
        foreach (var part in planned)
        {
            var sequence = part.Sequence;
            var remaining = sequence.KnownTokens - sequence.ComputedTokens;

            // The first of several chunks is let through, so that the worker dies with something computed.
            var begun = sequence.ComputedTokens > sequence.PrefixHitTokens || part.Rows == remaining;
            if (sequence.SampledCount == 0 && begun) _hold.StayIfClaimed(HoldPhase.Computing);
            if (sequence.SampledCount > DecodedBeforeHold) _hold.StayIfClaimed(HoldPhase.Decoding);
        }
    }
}
