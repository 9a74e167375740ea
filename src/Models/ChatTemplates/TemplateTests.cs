namespace Krewe.Models;

/// <summary>A test behind <c>is</c>.</summary>
internal delegate bool TemplateTest(object? value, TemplateArguments arguments);

/// <summary>The tests that chat templates use. A template that names another is refused when it is parsed.</summary>
internal static class TemplateTests
{
    private static readonly Dictionary<string, TemplateTest> All = new(StringComparer.Ordinal)
    {
        ["defined"] = (value, _) => value is not Undefined,
        ["undefined"] = (value, _) => value is Undefined,
        ["none"] = (value, _) => value is null,
        ["true"] = (value, _) => value is true,
        ["false"] = (value, _) => value is false,
        ["boolean"] = (value, _) => value is bool,
        ["string"] = (value, _) => value is string,
        ["mapping"] = (value, _) => value is TemplateMap,
        ["iterable"] = (value, _) => value is string or List<object?> or TemplateMap or Undefined,
        ["sequence"] = (value, _) => value is string or List<object?> or TemplateMap or Undefined,
        ["number"] = (value, _) => value is long or double or bool,
        ["integer"] = (value, _) => value is long,
        ["float"] = (value, _) => value is double,
        ["callable"] = (value, _) => value is TemplateFunction,
        ["odd"] = (value, arguments) => Remainder(value, 2, arguments) == 1,
        ["even"] = (value, arguments) => Remainder(value, 2, arguments) == 0,
        ["divisibleby"] = (value, arguments) => Remainder(value, arguments.Whole(0, "num", 1), arguments) == 0,
        ["equalto"] = AreEqual,
        ["eq"] = AreEqual,
        ["=="] = AreEqual,
        ["ne"] = (value, arguments) => !AreEqual(value, arguments),
        ["sameas"] = (value, arguments) => value?.GetType() == arguments.Get(0, "other")?.GetType()
            && AreEqual(value, arguments),
        ["in"] = (value, arguments) => TemplateOperators.Contains(arguments.Context, arguments.Get(0, "seq"), value),
    };

    public static TemplateTest? Find(string name) => All.GetValueOrDefault(name);

    private static bool AreEqual(object? value, TemplateArguments arguments) =>
        TemplateValues.AreEqual(arguments.Context, value, arguments.Get(0, "other"));

    private static long Remainder(object? value, long divisor, TemplateArguments arguments) =>
        value is long number && divisor > 0
            ? Math.Abs(number % divisor)
            : throw arguments.Context.Error($"{arguments.Callee} needs integers and a positive divisor");
}
