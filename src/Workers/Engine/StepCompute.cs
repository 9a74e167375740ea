using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>One sequence's part in a step and what became of it.</summary>
internal struct StepPart(Sequence sequence, int rows)
{
    public readonly Sequence Sequence = sequence;

    public readonly int Rows = rows;

    /// <summary>Its row in the logits; null when the chunk does not reach the last known token.</summary>
    public int? LogitRow;

    /// <summary>The logits of its first row, and then of every row; null when only the last one's are wanted.</summary>
    public int? PromptLogitRow;

    /// <summary>The token that was drawn for it in a step queued ahead; null after any other step.</summary>
    public int? Drawn;

    /// <summary>Set when this sequence, and only this one, could not be computed.</summary>
    public string? Fault;
}

/// <summary>
/// Runs planned rows through the model. A fault is narrowed down to the sequences that cause it: the others are
/// computed again without them, which exactness makes invisible (same rows, same bits, same slots).
/// </summary>
internal sealed partial class StepCompute(IModelRunner runner, ILogger logger) : IDisposable
{
    private readonly StepBatch _batch = BatchFor(runner.Kv.BlockCount);
    private readonly TokenSampler _sampler = new(runner.VocabularySize);

    /// <summary>What the runner waits for in the next steps; null for nothing.</summary>
    public ILayerGate? Gate { get; set; }

    /// <summary>Computes the rows; afterwards each part has a fault, a logit row, or neither.</summary>
    /// <param name="observer">Follows the layers; after a fault it is told of none any more.</param>
    public void Run(Span<StepPart> parts, ILayerObserver? observer = null)
    {
        _batch.Observer = observer;
        if (TryRun(parts) is not { } fault) return;

        // What follows computes one sequence after the other: a layer stored for one says nothing of the others.
        _batch.Observer = null;
        LogFault(logger, parts.Length, fault);
        if (parts.Length == 1) parts[0].Fault = Describe(fault);
        else RunAlone(parts);
    }

    /// <summary>
    /// Draws the next token of a part that has a logit row. Throws <see cref="KreweException"/> on no numbers.
    /// </summary>
    public SampledToken Sample(in StepPart part) => (part.Drawn ?? _batch.SampledOf(part.LogitRow!.Value)) is { } token
        ? new SampledToken(token)
        : _sampler.Sample(part.Sequence, Logits(part.LogitRow!.Value));

    /// <summary>
    /// Log-probabilities of the prompt token at <paramref name="index"/>, whose row before it is in the part, which has
    /// not been counted as computed yet. Throws <see cref="KreweException"/> on no numbers.
    /// </summary>
    public TokenLogprobs ScorePrompt(in StepPart part, int index)
    {
        var sequence = part.Sequence;
        var row = part.PromptLogitRow!.Value + index - 1 - sequence.ComputedTokens;
        return _sampler.Score(Logits(row), sequence.Tokens[index], sequence.PromptLogprobs!.Value);
    }

    public void Dispose()
    {
        Abandon();
        _sampler.Dispose();
    }

    /// <summary>
    /// Each sequence in a step of its own to find the faulty ones, then the sound ones together for their logits.
    /// </summary>
    private void RunAlone(Span<StepPart> parts)
    {
        var sound = new List<StepPart>();
        foreach (ref var part in parts)
        {
            if (TryRun(new Span<StepPart>(ref part)) is { } fault) part.Fault = Describe(fault);
            else sound.Add(part);
        }

        if (sound.Count == 0) return;
        var together = sound.ToArray();
        var togetherFault = TryRun(together);
        var next = 0;
        foreach (ref var part in parts)
        {
            if (part.Fault is not null) continue;
            part = together[next++];
            if (togetherFault is not null) part.Fault = Describe(togetherFault);
        }
    }

    private static StepBatch BatchFor(int blocks)
    {
        var batch = new StepBatch();
        batch.ReserveBlockTables(blocks);
        return batch;
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types",
        Justification = "Whatever arithmetic throws must end its own sequences and not the worker.")]
    private Exception? TryRun(Span<StepPart> parts)
    {
        try
        {
            Fill(parts);
            runner.Run(_batch);
            return null;
        }
        catch (Exception e) when (e is not (OutOfMemoryException or DeviceLostException))
        {
            return e;
        }
    }

    private ReadOnlySpan<float> Logits(int row) =>
        _batch.Logits.AsSpan(row * runner.VocabularySize, runner.VocabularySize);

    private static string Describe(Exception fault) => $"The engine could not compute a step: {fault.Message}";

    private void Fill(Span<StepPart> parts)
    {
        _batch.Clear();
        _batch.Gate = Gate;
        foreach (ref var part in parts)
        {
            var sequence = part.Sequence;
            var end = sequence.ComputedTokens + part.Rows;
            var samples = end == sequence.KnownTokens;
            var logitRows = sequence.ScoresPrompt ? part.Rows : samples ? 1 : 0;
            var first = _batch.Add(
                sequence.Tokens[sequence.ComputedTokens..end], sequence.ComputedTokens, sequence.Blocks.Span,
                runner.Kv.Geometry.BlockTokens, logitRows);
            part.PromptLogitRow = sequence.ScoresPrompt ? first : null;
            part.LogitRow = samples ? first + logitRows - 1 : null;
            if (samples && runner is ISamplingRunner && TokenSampler.DrawOf(sequence) is { } draw)
                _batch.SetDraw(part.LogitRow!.Value, draw);
        }
    }

    [LoggerMessage(LogLevel.Error, "A step with {Sequences} sequences failed; each is tried alone.")]
    private static partial void LogFault(ILogger logger, int sequences, Exception error);
}
