using System.Diagnostics;

namespace Krewe.Workers.Tests;

/// <summary>
/// What the targets of migrations have told a source: its steps can wait for that, so that no test depends on who is
/// faster. A wait that ends without what it waits for returns, and the test's own assertions say what is missing.
/// </summary>
internal sealed class TargetSigns
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Where a target that lives has nothing to say its source computes on, slowly.</summary>
    private static readonly TimeSpan SlowStep = TimeSpan.FromSeconds(2);

    private readonly object _lock = new();
    private int _arrived;
    private int _gone;
    private int _signs;
    private int _answered;
    private int _received;

    /// <summary>To be called when the command is in the engine's queue: its next turn takes it.</summary>
    public void Posted(EngineCommand command)
    {
        lock (_lock)
        {
            switch (command)
            {
                case EngineCommand.Migration.TargetArrived:
                    _arrived++;
                    _signs++;
                    break;
                case EngineCommand.Migration.TargetLost: _gone++; break;
                case EngineCommand.Migration.TargetSign { Room: > 0 } sign:
                    _signs++;
                    _received = Math.Max(_received, sign.Received);
                    break;
                case EngineCommand.Migration.TargetCommitted: _signs++; break;
                default: return;
            }

            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>Blocks until a target wants a sequence of this source.</summary>
    public void WaitForTarget() => Wait(() => _arrived > 0, Patience);

    /// <summary>Blocks until the target has the first <paramref name="blocks"/> blocks.</summary>
    public void WaitForBlocks(int blocks) => Wait(() => _received >= blocks, Patience);

    /// <summary>
    /// Before a step: blocks until there is a target and, while there is one, until it has said something since the
    /// last step: so a sequence cannot end before it has moved.
    /// </summary>
    public void KeepPace(TimeSpan? slowStep = null)
    {
        WaitForTarget();
        Wait(() => _arrived <= _gone || _signs > _answered, slowStep ?? SlowStep);
        lock (_lock) _answered = _signs;
    }

    private void Wait(Func<bool> condition, TimeSpan limit)
    {
        var clock = Stopwatch.StartNew();
        lock (_lock)
        {
            while (!condition())
            {
                var left = limit - clock.Elapsed;
                if (left <= TimeSpan.Zero || !Monitor.Wait(_lock, left)) return;
            }
        }
    }
}
