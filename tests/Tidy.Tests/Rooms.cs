using System.Xml.Linq;

namespace Krewe.Tidy.Tests;

/// <summary>The arrows between rooms that docs/ARCHITECTURE.md allows, and their checker.</summary>
public static class Rooms
{
    private const string All = "*";

    /// <summary>Room to the rooms it may refer to. Abstractions sees its grain host's API only.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Abstractions"] = ["EmbeddedOrleans"],
        ["Control"] = ["Abstractions"],
        ["Grains"] = ["Control", "Abstractions", "EmbeddedOrleans"],
        ["EmbeddedOrleans"] = [],
        ["Silo"] = ["Grains", "Control", "Models", "Abstractions", "EmbeddedOrleans"],
        ["Workers"] = ["Control", "Kernels", "KvStore", "Models", "Abstractions"],
        ["Workers.TorchSharp"] = ["Workers", "Kernels", "Models", "Abstractions"],
        ["KvStore"] = ["Abstractions"],
        ["Models"] = ["Abstractions"],
        ["Kernels"] = ["Abstractions"],
        ["Simulation"] = ["Control", "Abstractions"],
        ["Cli"] = [All],
    };

    public static IEnumerable<string> Names => Allowed.Keys;

    /// <summary>Every arrow of a project file under src that is not allowed.</summary>
    public static IEnumerable<string> FindForbiddenArrows(RepositoryFile project)
    {
        var room = Path.GetFileNameWithoutExtension(project.Path);
        if (!Allowed.TryGetValue(room, out var allowed))
        {
            yield return $"{project.Path}: the room {room} is not in docs/ARCHITECTURE.md's table.";
            yield break;
        }

        var references = XDocument.Parse(project.Text).Descendants("ProjectReference")
            .Select(reference => reference.Attribute("Include")!.Value.Replace('\\', '/'))
            .Select(Path.GetFileNameWithoutExtension);
        foreach (var target in references)
        {
            if (!allowed.Contains(All) && !allowed.Contains(target))
                yield return $"{project.Path}: {room} may not refer to {target}.";
        }
    }
}
