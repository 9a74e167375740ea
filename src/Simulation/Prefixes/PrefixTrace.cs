using System.Text.Json;
using System.Text.Json.Serialization;
using Krewe.Control.Kv;

namespace Krewe.Simulation;

/// <summary>
/// Prompts as chains of block hashes, in the order of their arrival: the format of Mooncake's traces (FAST'25), one
/// JSON object a line, of which <c>hash_ids</c> is read.
/// </summary>
/// <param name="Prompts">Each prompt's blocks, first to last; equal hash = equal prefix up to there.</param>
public sealed record PrefixTrace(IReadOnlyList<PrefixHash[]> Prompts)
{
    /// <exception cref="SimulationException">A line is no JSON object with hash_ids.</exception>
    public static PrefixTrace Read(TextReader lines)
    {
        List<PrefixHash[]> prompts = [];
        for (var number = 1; lines.ReadLine() is { } line; number++)
        {
            if (line.Length == 0) continue;
            prompts.Add([.. ReadIds(line, number).Select(id => new PrefixHash((UInt128)id))]);
        }

        return new PrefixTrace(prompts);
    }

    private static IReadOnlyList<ulong> ReadIds(string line, int number)
    {
        try
        {
            return JsonSerializer.Deserialize(line, PrefixTraceJson.Default.PrefixTraceLine)?.HashIds
                ?? throw new SimulationException($"Line {number} of the trace has no hash_ids.");
        }
        catch (JsonException e)
        {
            throw new SimulationException($"Line {number} of the trace is no JSON object with hash_ids: {e.Message}");
        }
    }
}

internal sealed record PrefixTraceLine
{
    public IReadOnlyList<ulong>? HashIds { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(PrefixTraceLine))]
internal sealed partial class PrefixTraceJson : JsonSerializerContext;
