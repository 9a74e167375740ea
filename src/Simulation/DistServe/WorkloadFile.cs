using System.Text.Json;

namespace Krewe.Simulation.DistServe;

/// <summary>Reads a workload: a JSON array of { start_time (s), prompt_len, output_len }, ascending by time.</summary>
public static class WorkloadFile
{
    /// <summary>Errors name the file, the entry and the reason.</summary>
    public static IReadOnlyList<SimulatedRequest> Load(string path)
    {
        if (!File.Exists(path)) throw new SimulationException($"Workload file '{path}' does not exist.");
        try
        {
            using var stream = File.OpenRead(path);
            using var document = JsonDocument.Parse(stream);
            if (document.RootElement.ValueKind != JsonValueKind.Array)
                throw new SimulationException($"{path}: the workload must be a JSON array of requests.");
            return [.. document.RootElement.EnumerateArray().Select((entry, i) => Read(path, i, entry))];
        }
        catch (JsonException error)
        {
            throw new SimulationException($"{path}: not JSON: {error.Message}");
        }
    }

    private static SimulatedRequest Read(string path, int index, JsonElement entry)
    {
        double Number(string name)
        {
            if (entry.ValueKind != JsonValueKind.Object || !entry.TryGetProperty(name, out var value))
                throw new SimulationException($"{path}: entry {index} has no '{name}'.");
            if (value.ValueKind != JsonValueKind.Number || value.GetDouble() is not (>= 0 and <= 1e12 and var number))
                throw new SimulationException($"{path}: entry {index}: '{name}' must be a number of at least 0.");
            return number;
        }

        return new SimulatedRequest(Number("start_time"), (int)Number("prompt_len"), (int)Number("output_len"));
    }
}
