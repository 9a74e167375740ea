using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Krewe.Workers;

/// <summary>Steps that are queued before the tokens of the last one are known, where the runner can.</summary>
internal sealed partial class StepCompute
{
    private readonly IAheadRunner? _ahead = runner is IAheadRunner { RunsAhead: true } ahead ? ahead : null;

    public bool RunsAhead => _ahead is not null;

    public StepFlight CreateFlight() => new(BatchFor(runner.Kv.BlockCount));

    /// <summary>
    /// Queues the flight's parts, one row each. False: nothing was queued; whatever the reason was, an error of the
    /// device too, computing the step by <see cref="Run"/> once nothing is under way deals with it.
    /// </summary>
    /// <param name="before">The step under way that draws the rows' tokens, its parts the same sequences and more;
    /// null: they are known.</param>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types",
        Justification = "The same rows are computed again, in order, by a step that finds out whose fault it is.")]
    public bool TryQueue(StepFlight flight, StepFlight? before)
    {
        try
        {
            Fill(flight, before);
            return _ahead!.TryQueue(flight.Batch);
        }
        catch (Exception e) when (e is not (OutOfMemoryException or DeviceLostException))
        {
            LogFault(logger, flight.Parts.Count, e);
            return false;
        }
    }

    /// <summary>
    /// Waits for the oldest flight and gives its parts their tokens. False: the step failed, or a row's logits are no
    /// numbers; computing it again by <see cref="Run"/> says whose fault it is.
    /// </summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types",
        Justification = "The same rows are computed again, in order, by a step that finds out whose fault it is.")]
    public bool TryFinish(StepFlight flight)
    {
        try
        {
            _ahead!.Finish();
        }
        catch (Exception e) when (e is not (OutOfMemoryException or DeviceLostException))
        {
            LogFault(logger, flight.Parts.Count, e);
            return false;
        }

        foreach (ref var part in CollectionsMarshal.AsSpan(flight.Parts))
        {
            part.Drawn = flight.Batch.SampledOf(part.LogitRow!.Value);
            if (part.Drawn is null) return false;
        }

        return true;
    }

    /// <summary>Returns when nothing is under way any more.</summary>
    public void Abandon() => _ahead?.Abandon();

    private void Fill(StepFlight flight, StepFlight? before)
    {
        var batch = flight.Batch;
        batch.Clear();
        var blockTokens = runner.Kv.Geometry.BlockTokens;
        var next = 0;
        foreach (ref var part in CollectionsMarshal.AsSpan(flight.Parts))
        {
            var sequence = part.Sequence;
            if (before is null)
            {
                part.LogitRow = batch.Add(
                    sequence.Tokens[^1..], sequence.ComputedTokens, sequence.Blocks.Span, blockTokens, logitRows: 1);
            }
            else
            {
                while (before.Parts[next].Sequence != sequence) next++;
                part.LogitRow = batch.AddDrawn(
                    before.Parts[next].LogitRow!.Value, sequence.KnownTokens, sequence.Blocks.Span, blockTokens);
            }

            batch.SetDraw(part.LogitRow.Value, TokenSampler.DrawOf(sequence, before is null ? 0 : 1)!.Value);
        }
    }
}
