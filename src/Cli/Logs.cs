using System.CommandLine;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Krewe.Cli;

/// <summary>What a silo or a worker logs: warnings on standard error, one line each; everything with --verbose.</summary>
internal static class Logs
{
    public static ILoggerFactory Create(ParseResult result) => LoggerFactory.Create(builder =>
    {
        builder.SetMinimumLevel(result.GetValue(KreweCommand.Verbose) ? LogLevel.Debug : LogLevel.Warning);
        builder.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
        });
        // Standard output is for results.
        builder.Services.Configure<ConsoleLoggerOptions>(
            console => console.LogToStandardErrorThreshold = LogLevel.Trace);
    });
}
