using System.Diagnostics;
using System.Reflection;

namespace Krewe.Cli;

/// <summary>This program, to be started once more.</summary>
internal static class OwnProgram
{
    /// <summary>Set for a program that ends when its standard input closes; see <see cref="Shutdown"/>.</summary>
    public const string BoundVariable = "KREWE_ENDS_WITH_INPUT";

    /// <summary>
    /// A start of it that ends with this process, however that ends: the kernel closes the child's standard input. For
    /// commands that do not read it.
    /// </summary>
    public static ProcessStartInfo Bound(IEnumerable<string> arguments)
    {
        var start = With(arguments);
        start.Environment[BoundVariable] = "1";
        return start;
    }

    /// <summary>A start of it with these arguments and all three streams in our hands.</summary>
    public static ProcessStartInfo With(IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo
        {
            FileName = Environment.ProcessPath!,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };

        // "dotnet krewe.dll" and the native executable are both ways to run this program.
        if (Path.GetFileNameWithoutExtension(start.FileName) == "dotnet")
            start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location);
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        return start;
    }
}
