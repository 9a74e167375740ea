using System.CommandLine;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>What a silo or a worker logs: warnings and errors, one line each; everything with --verbose.</summary>
internal static class Logs
{
    /// <param name="result">The parsed command line.</param>
    /// <param name="terminal">Where the log goes: its Error.</param>
    /// <param name="time">Stamps the lines.</param>
    /// <param name="process">The silo's or worker's name, for lines of JSON.</param>
    public static ILoggerFactory Create(
        ParseResult result, Terminal terminal, TimeProvider time, string process = "krewe")
    {
        var isVerbose = result.GetValue(KreweCommand.Verbose);
        return LoggerFactory.Create(builder =>
        {
            builder.SetMinimumLevel(isVerbose ? LogLevel.Debug : LogLevel.Warning);
            // What operators did is always told.
            builder.AddFilter("Krewe.Silo.Access.AuditLog", LogLevel.Information);
            // That a worker is gone is a warning; that it is back belongs beside it.
            builder.AddFilter("Krewe.Silo.Links.LinkListener", isVerbose ? LogLevel.Debug : LogLevel.Information);
            // The host logs what it throws; FailureReport says it once, in one line.
            if (!isVerbose) builder.AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
            // Orleans warns of every probe and retry; what follows from them is told by our own silo.
            if (!isVerbose) builder.AddFilter("Orleans", LogLevel.Error);
            builder.AddProvider(KreweCommand.Format.Read(result) == LogFormat.Json
                ? new JsonLoggerProvider(terminal.Error, time, process)
                : new LineLoggerProvider(terminal.Error, time, isVerbose));
        });
    }
}
