using System.Text.RegularExpressions;

namespace Krewe.Tidy.Tests;

/// <summary>The nine steps of docs/ARCHITECTURE.md: each number marks exactly one place of the code.</summary>
public static partial class StepMarkers
{
    private const int Steps = 9;

    public static IEnumerable<string> FindWrongCounts(IEnumerable<RepositoryFile> files)
    {
        var marks =
            from file in files
            from line in file.Lines()
            let mark = Marker().Match(line.Text)
            where mark.Success
            select (Step: int.Parse(mark.Groups[1].Value), Place: $"{file.Path}:{line.Number}");
        var places = marks.ToLookup(found => found.Step, found => found.Place);
        for (var step = 1; step <= Steps; step++)
        {
            if (places[step].Count() != 1)
                yield return $"step {step} is marked {places[step].Count()} times: {string.Join(", ", places[step])}";
        }
    }

    [GeneratedRegex(@"// :: Step (\d+)\b")]
    private static partial Regex Marker();
}
