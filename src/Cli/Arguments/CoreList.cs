using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>Numbers of cores on the command line, like 0-3,6.</summary>
internal static class CoreList
{
    private const int CoreMax = 1023;

    public static Option<int[]?> Option(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "0-3,6",
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = result => Parse(result, name),
    };

    /// <summary>
    /// Each worker gets as many of the cores as it has threads, in order. Where there are too few, all keep what was
    /// given and <see cref="WorkerOptions.Validate"/> refuses it.
    /// </summary>
    public static WorkerOptions[] Deal(WorkerOptions[] workers)
    {
        if (workers.Sum(worker => worker.Threads) != workers.FirstOrDefault()?.PinnedCores.Count) return workers;
        var used = 0;
        return Array.ConvertAll(workers, worker =>
        {
            var own = worker.PinnedCores.Skip(used).Take(worker.Threads);
            used += worker.Threads;
            return worker with { PinnedCores = [.. own] };
        });
    }

    private static int[]? Parse(ArgumentResult result, string name)
    {
        List<int> cores = [];
        foreach (var part in result.Tokens[0].Value.Split(','))
        {
            var ends = part.Split('-');
            if (ends.Length <= 2 && TryCore(ends[0], out var first) && TryCore(ends[^1], out var last) && first <= last)
                cores.AddRange(Enumerable.Range(first, last - first + 1));
            else
                result.AddError($"{name} has '{part}'; it must be numbers of cores from 0 to {CoreMax} like 0-3,6.");
        }

        return [.. cores];
    }

    private static bool TryCore(string text, out int core) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out core) && core <= CoreMax;
}
