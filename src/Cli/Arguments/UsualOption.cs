using System.CommandLine;

namespace Krewe.Cli;

/// <summary>
/// An option with a usual value. The value is not the parser's default, which help would print a second time in a form
/// that is not for people (00:00:25).
/// </summary>
internal sealed class UsualOption<T>(Option<T?> option, T usual)
    where T : struct
{
    public static implicit operator Option(UsualOption<T> setting) => setting.Option;

    public Option<T?> Option { get; } = option;

    public T Read(ParseResult result) => result.GetValue(Option) ?? usual;
}
