using Microsoft.Extensions.Logging;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>Where a command reads and writes: results to Out, everything said about them to Error.</summary>
internal sealed record Terminal(TextReader In, TextWriter Out, TextWriter Error)
{
    /// <summary>What each line said begins with.</summary>
    public const string Prefix = "krewe: ";

    private const int FileWidth = 160;

    public static Terminal Standard() => new(Console.In, Console.Out, Console.Error);

    /// <summary>Tables and colours on Out; plain text, not wrapped at 80 columns, where Out is no terminal.</summary>
    public IAnsiConsole Ansi()
    {
        var isFile = Out != Console.Out || Console.IsOutputRedirected;
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = isFile ? AnsiSupport.No : AnsiSupport.Detect,
            Out = new AnsiConsoleOutput(Out),
        });
        if (isFile) console.Profile.Width = FileWidth;
        return console;
    }

    /// <summary>Progress on Error, so that Out stays what was asked for.</summary>
    public IAnsiConsole AnsiError() => AnsiConsole.Create(new AnsiConsoleSettings
    {
        Ansi = Error != Console.Error || Console.IsErrorRedirected ? AnsiSupport.No : AnsiSupport.Detect,
        Out = new AnsiConsoleOutput(Error),
    });

    /// <summary>What is said on Error is one JSON object a line, as the log is.</summary>
    public bool SaysJson { get; set; }

    /// <summary>One line on Error with the command's name in front.</summary>
    public void Say(string line) => Error.WriteLine(SaysJson
        ? JsonLine.Write(TimeProvider.System.GetUtcNow(), LogLevel.Information, "Krewe.Cli", line)
        : Prefix + line);

    /// <summary>Says every error, so that all can be mended at once.</summary>
    public int RefuseUsage(IEnumerable<string> errors, string command)
    {
        foreach (var error in errors) Say(error);
        Say($"nothing was started; see 'krewe {command} --help'.".Replace("  ", " ", StringComparison.Ordinal));
        return ExitCode.Usage;
    }
}
