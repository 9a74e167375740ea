using Krewe.Workers;

namespace Krewe.Cli;

/// <summary>Consecutive prompt tokens of one sequence in one step.</summary>
internal readonly record struct PrefillChunk(int Sequence, int Start, int Count);

/// <summary>Prompts cut into steps as the engine cuts them: one prompt after the other, each step filled up.</summary>
internal sealed class PrefillPlan
{
    private readonly int _promptTokens;

    public PrefillPlan(int sequences, int promptTokens, int stepTokens)
    {
        _promptTokens = promptTokens;
        List<PrefillChunk[]> steps = [];
        List<PrefillChunk> step = [];
        var room = stepTokens;
        for (var sequence = 0; sequence < sequences; sequence++)
        {
            for (var start = 0; start < promptTokens;)
            {
                var count = Math.Min(room, promptTokens - start);
                step.Add(new PrefillChunk(sequence, start, count));
                (start, room) = (start + count, room - count);
                if (room > 0) continue;
                steps.Add([.. step]);
                step.Clear();
                room = stepTokens;
            }
        }

        if (step.Count > 0) steps.Add([.. step]);
        Steps = steps;
        Shapes = [.. steps.Select(chunks => new StepShape(chunks.Sum(chunk => chunk.Count), chunks.Count(IsLast)))];
    }

    public IReadOnlyList<PrefillChunk[]> Steps { get; }

    /// <summary>The shape of each step.</summary>
    public IReadOnlyList<StepShape> Shapes { get; }

    /// <summary>The chunk ends its prompt, so that its last row wants logits.</summary>
    public bool IsLast(PrefillChunk chunk) => chunk.Start + chunk.Count == _promptTokens;
}
