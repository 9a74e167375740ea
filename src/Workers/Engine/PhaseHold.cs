using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>
/// Phases of a sequence at which a fault test may want a worker to stay (WorkerOptions.TestHoldFile).
/// </summary>
internal enum HoldPhase
{
    /// <summary>Accepted; nothing was planned for it.</summary>
    Queued,

    /// <summary>Prefill is under way.</summary>
    Computing,

    /// <summary>Some blocks were moved; the end of prefill was not told.</summary>
    Handoff,

    /// <summary>The target has everything and has not said so.</summary>
    BeforeCommit,

    /// <summary>At least three tokens were decoded.</summary>
    Decoding,
}

/// <summary>
/// Keeps a worker in a phase so that a test can kill it there. The file's content is a phase, or a phase and a role;
/// the first worker that gets there takes the file away and stays, its heartbeats going on.
/// </summary>
internal sealed class PhaseHold(string file, WorkerRole role, TimeProvider time)
{
    /// <summary>
    /// Long enough to be killed in; short enough that a forgotten file does not hang a worker for ever.
    /// </summary>
    private static readonly TimeSpan Stay = TimeSpan.FromSeconds(60);

    /// <summary>On the engine thread, which then computes nothing.</summary>
    public void StayIfClaimed(HoldPhase phase) =>
        StayIfClaimedAsync(phase, CancellationToken.None).GetAwaiter().GetResult();

    /// <summary>In a transfer's task.</summary>
    public Task StayIfClaimedAsync(HoldPhase phase, CancellationToken cancellationToken) =>
        Claim(phase) ? Task.Delay(Stay, time, cancellationToken) : Task.CompletedTask;

    /// <summary>True for exactly one caller over all processes: whoever manages to move the file.</summary>
    private bool Claim(HoldPhase phase)
    {
        try
        {
            if (!File.Exists(file)) return false;
            var words = File.ReadAllText(file).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0 || words[0] != NameOf(phase)) return false;
            if (words.Length > 1 && !words[1].Equals(role.ToString(), StringComparison.OrdinalIgnoreCase)) return false;
            var taken = $"{file}.{Environment.ProcessId}";
            File.Move(file, taken);
            File.Delete(taken);
            return true;
        }
        catch (IOException)
        {
            return false; // another worker was faster
        }
    }

    private static string NameOf(HoldPhase phase) => phase switch
    {
        HoldPhase.Queued => "queued",
        HoldPhase.Computing => "computing",
        HoldPhase.Handoff => "handoff",
        HoldPhase.BeforeCommit => "before-commit",
        HoldPhase.Decoding => "decoding",
        _ => throw new ArgumentOutOfRangeException(nameof(phase), phase, "A phase without a name."),
    };
}
