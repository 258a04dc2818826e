"""What Qianfa refuses: one class per fact, named as the fact.

A refusal's docstring is its message: the first line in Chinese, the second in English. Its code is
its class name and never changes. What is not a `Refusal` is a fault of ours, not an answer.
"""

from typing import ClassVar

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong at one place, with what to do about it.

    `row` is the row of the sheet as a spreadsheet shows it (1 = header), None for the whole file;
    `rows` are all rows concerned where one thing is wrong with many.
    `value` is shown safely: no control characters, at most 40 characters, ids masked.
    """

    code: str
    zh: str
    en: str
    row: int | None = None
    rows: tuple[int, ...] = ()
    column: str | None = None
    value: str | None = None


class Refusal(Exception):
    """请求被拒绝。
    The request is refused.
    """

    retry: ClassVar[bool] = False

    def __init__(self, findings: tuple[Finding, ...] = (), **facts: object) -> None:
        self.findings = findings
        self.facts = facts
        lines = [line.strip() for line in (type(self).__doc__ or "").strip().splitlines()]
        self.zh, self.en = lines[0].format(**facts), lines[1].format(**facts)
        super().__init__(f"{self.zh} {self.en}")

    @property
    def code(self) -> str:
        """The stable code: the name of the refusal."""
        return type(self).__name__


class SettingUnknown(Refusal):
    """没有名为 {name} 的设置；请看 qianfa settings。
    There is no setting {name}; see qianfa settings.
    """


class SettingRefused(Refusal):
    """设置 {name} 的值不可用：{reason}。
    The value of {name} cannot be used: {reason}.
    """


class DatabaseUnavailable(Refusal):
    """数据库无法连接（{reason}）；已完成的不会丢失，请稍后再试。
    The database cannot be reached ({reason}); nothing done is lost, try again.
    """

    retry = True


class EmbeddedServerFailed(Refusal):
    """内置数据库的 {program} 未能运行：{output}
    The embedded server's {program} failed: {output}
    """


class MigrationEdited(Refusal):
    """迁移 {name} 在应用之后被改动；请恢复原文件，改动另写新迁移。
    Migration {name} was edited after it was applied; restore it and write a new one.
    """


class DatabaseNotReady(Refusal):
    """数据库尚未建立或未更新；请先运行 qianfa init。
    The database is not made or not up to date; run qianfa init first.
    """


class DatabaseNewer(Refusal):
    """数据库已应用本程序没有的迁移 {name}；请使用更新的程序。
    The database has migration {name}, which this program lacks; use a newer program.
    """


class TryAgain(Refusal):
    """另一项操作同时进行，本次未生效；请再试一次。
    Another act was at it at the same time and this one was undone; try again.
    """

    retry = True


class SecondPersonNeeded(Refusal):
    """此事须由另一人办理。
    This takes a second person.
    """


class NotYourCity(Refusal):
    """此项属于其他市（州），或超出本账户权限。
    This belongs to another city, or is beyond this account.
    """


class NotAuthenticated(Refusal):
    """账户或口令不正确。
    The account or its secret is not right.
    """


class ActNotGranted(Refusal):
    """账户 {account}（{role}）无权办理此事；可由{granted}办理（{act}）。
    Account {account} ({role}) may not do this; {granted} may ({act}).
    """


class AccountExists(Refusal):
    """此账户名已被使用；账户名永不重复使用。
    The account name is taken; names are never used again.
    """


class AccountNameUnfit(Refusal):
    """账户名须为 2 至 31 个小写字母、数字、下划线或连字符，以字母开头。
    An account name is 2 to 31 lower-case letters, digits, _ or -, the first a letter.
    """


class RoleNotOfCity(Refusal):
    """省中心账户的区划代码须为 510000，经办与复核不得为 510000。
    Accounts of the province have city code 510000; operators and reviewers do not.
    """


class AccountUnknown(Refusal):
    """没有在用的账户 {account}。
    There is no live account {account}.
    """


class CityUnknown(Refusal):
    """没有这个行政区划代码。
    There is no such city code.
    """


class FoundedAlready(Refusal):
    """已有账户；请由省中心账户添加。
    There are accounts already; the province's adds further ones.
    """


class AlreadyRecorded(Refusal):
    """此项已登记，未作改动；变更请以新的生效日期另行登记。
    This is recorded already and was not changed; record a change with a later date.
    """


class DatesOutOfOrder(Refusal):
    """起止日期颠倒或截止日期晚于开始日期。
    The dates are out of order.
    """


class UsccWrong(Refusal):
    """统一社会信用代码 {uscc} 的格式或校验位不符（GB 32100，18 位大写字母与数字）。
    USCC {uscc} has a wrong form or check character (GB 32100, 18 capitals and digits).
    """


class FilingKindUnfit(Refusal):
    """备案方式只能是 unified（分级统考）或 daily（日常考核）。
    A filing is for unified or daily assessment.
    """


class SchemeRefused(Refusal):
    """编号规则不可用，会造成重号：{needed}。
    The number scheme cannot be used, numbers could be doubled: {needed}.
    """


class SchemeAbsent(Refusal):
    """{day} 没有生效的编号规则；请先登记。
    No number scheme is valid on {day}; record one first.
    """


class BodyNotOpen(Refusal):
    """该市（州）未启用此机构序号；请先启用。
    This body serial is not open for the city; open it first.
    """


class SchemeUnknown(Refusal):
    """没有这个版本的编号规则。
    There is no such version of the number scheme.
    """


class CounterUsed(Refusal):
    """此计数器已设定或已用过，不能再设起始号。
    This counter is set or used already and cannot be started elsewhere.
    """


class CentreUnknown(Refusal):
    """{day} 没有 {city_code} 的中心与发证机关信息；请先登记。
    Nothing says what centre and authority of {city_code} are on {day}; record it first.
    """


class NumbersExhausted(Refusal):
    """{city_code} {year} 年编号不足，尚缺 {missing} 个；请以文号启用下一机构序号。
    City {city_code} lacks {missing} numbers for {year}: qianfa record body opens the next.
    """


class NumberTaken(Refusal):
    """编号或标识已存在；未签发任何证书，请核对编号规则与起始号。
    A number or identifier exists already; nothing was issued, check scheme and start.
    """


class PersonCertified(Refusal):
    """有人刚取得同一项目的证书，本次未生效；请重新核对。
    Somebody has just been certified for the same project, nothing was done; look again.
    """


class InstitutionUnknown(Refusal):
    """机构 {uscc} 未登记；请先登记机构。
    Institution {uscc} is not recorded; record it first.
    """


class FileImportedAlready(Refusal):
    """同一文件已导入为批次 {batch_id}。
    The same file is batch {batch_id} already.
    """


class FileRepeated(Refusal):
    """同一文件已在导入。
    The same file is being imported already.
    """


class RowsRefused(Refusal):
    """表中有错误（{count} 处，见上），未导入任何一行；请更正后再导入。
    No row was imported, for errors ({count}, see above); mend the sheet and import again.
    """


class RowsGivenBack(RowsRefused):
    """未导入任何一行。请打开标注副本，按“错误说明”列改正，保存后导入这份副本：{copy}
    No row was imported: mend the annotated copy by its column of errors and import it: {copy}
    """


class PhotosRefused(Refusal):
    """压缩包中有 {count} 处错误（见上），未收任何照片；请更正后再上传，或加 --keep-good 只收好的。
    No photo was kept for the {count} errors listed; mend them, or keep the others by --keep-good.
    """


class PhotosOfNobody(Refusal):
    """没有一张是本批次的照片（共 {count} 个文件，如 {name}）；请核对批次号和文件名。
    No photo in it is of this batch ({count} files, such as {name}); look at batch and file names.
    """


class ArchiveRefused(Refusal):
    """压缩包无法读取（见上），未保存任何照片。
    The archive cannot be read, as is said above; no photo was kept.
    """


class PhotoLost(Refusal):
    """证书 {number} 的照片文件缺失或损坏（{rule}）；请从备份恢复存储后重做。
    The photo of {number} is missing or damaged in the store ({rule}); restore it and try again.
    """


class FileTooLarge(Refusal):
    """文件超过 {limit} 字节的上限。
    The file has more than the {limit} bytes allowed.
    """


class BatchUnknown(Refusal):
    """没有批次 {batch_id}，或属于其他市（州）。
    There is no batch {batch_id}, or it is another city's.
    """


class BatchNotOpen(Refusal):
    """批次不存在、已提交或已批准，不能再登记或提交。
    The batch is absent, submitted or approved and takes no more.
    """


class BatchTakesNoRows(Refusal):
    """批次 {batch_id} 现为 {state}：待复核的先退回（batch return）再并入，其余的请作为新批次导入。
    Batch {batch_id} is {state}: return what waits for review first; otherwise import a new batch.
    """


class BatchNotSubmitted(Refusal):
    """批次 {batch_id} 不在待复核状态（{state}）。
    Batch {batch_id} does not wait for review ({state}).
    """


class EvidenceKeptTooShort(Refusal):
    """批次不在草稿状态，或保管期限不足：纸质不少于 3 年，视频不少于 5 年。
    The batch is not open, or kept too short: paper at least 3 years, video 5.
    """


class GatesClosed(Refusal):
    """批次 {batch_id} 有 {count} 处不符合签发条件，未予办理。
    Batch {batch_id} does not meet what certificates need in {count} places; nothing was done.
    """


class OdditiesUnseen(Refusal):
    """批次 {batch_id} 在您查看之后出现了新的提示（{codes}），未予批准；请查看后再批准。
    Batch {batch_id} became odd in ways that you were not shown ({codes}); look, then approve again.
    """

    retry = True


class CertificateUnknown(Refusal):
    """没有可以作废的编号 {number}。
    There is no number {number} that could be voided.
    """


class VoidNeedsTwoPersons(Refusal):
    """作废 {number} 须由另一人确认。
    Another person must confirm that {number} is void.
    """


class NumberUnknown(Refusal):
    """没有编号为 {number} 的证书，或属于其他市（州）。
    There is no certificate {number}, or it is another city's.
    """


class ChangeImpossible(Refusal):
    """证书 {number} 现为 {standing}，不能办理 {kind}；未签发的不能变更，暂扣的须先恢复才能更正。
    Certificate {number} is {standing}: no {kind}; it must be issued, and lifted to be corrected.
    """


class ChangeOpen(Refusal):
    """此证书已有一项变更待确认；请先确认或退回。
    Another change of this certificate waits; confirm or decline it first.
    """


class ChangeUnknown(Refusal):
    """没有变更 {change_id}，或属于其他市（州）。
    There is no change {change_id}, or it is another city's.
    """


class ChangeDecided(Refusal):
    """变更 {change_id} 已办结（{state}）。
    Change {change_id} is decided already ({state}).
    """


class GroundsAbsent(Refusal):
    """须写明原因，办理变更和收发的还须有文号；只有空格、标点不算。
    A reason is needed, for a change or supply a document number too; blanks and marks are none.
    """


class CorrectionOfAdopted(Refusal):
    """证书 {number} 不是本系统签章的，没有可以更正的版本；请由原签发渠道更正。
    Certificate {number} was not sealed here; have it corrected where it was issued.
    """


class CorrectionEmpty(Refusal):
    """没有要更正的内容：证书上已是如此。
    There is nothing to correct: the certificate says so already.
    """


class CorrectionRefused(Refusal):
    """证书 {number} 的更正有 {count} 处不符，未受理。
    The correction of {number} is wrong in {count} places and was not taken.
    """


class AdoptedAlready(Refusal):
    """同一文件已于 {at} 收录。
    The same file was taken in at {at}.
    """


class AdoptionNeedsTwoPersons(Refusal):
    """第 {adoption_id} 号收录申请须由另一人以同一文件确认。
    Another person must confirm adoption {adoption_id} with the same files.
    """


class FaceChanged(Refusal):
    """证书内容一经编号不可更改。
    What stands on a certificate does not change once it is numbered.
    """


class HistoryChanged(Refusal):
    """登记过的事实只增不改。
    What is recorded is never changed or removed.
    """


class KeysAbsent(Refusal):
    """{folder} 中没有密钥；开发环境请运行 qianfa init，生产环境请按 keys/README.md 挂载。
    There are no keys in {folder}; run qianfa init, or mount them as keys/README.md says.
    """


class SignerAbsent(Refusal):
    """没有装载 {city_code} 的签章密钥，或它与二维码密钥不都在有效期内。
    No sealing key of {city_code} is loaded, or it and the QR key are not both valid now.
    """


class KeyReplaced(Refusal):
    """{number} 已约定以另一把密钥签章，而该密钥未装载。
    {number} was to be sealed with another key, which is not loaded.
    """


class WorkersLost(Refusal):
    """每个处理 {number} 的签章进程都异常终止。
    Every worker that took {number} in hand has died.
    """


class StoreUnavailable(Refusal):
    """证书文件暂时无法存取（{reason}）；未签发的会自动重做，请检查存储。
    Sealed files cannot be stored or read ({reason}); nothing is lost, look at the store.
    """

    retry = True


class WorkerFailed(Refusal):
    """{count} 个签章进程意外结束；未签发的没有丢失，请查看上面的原因后再次运行。
    {count} worker processes ended early; nothing is lost, see the reason above and run again.
    """

    retry = True


class KeyUnpublished(Refusal):
    """公钥尚未登记，不能签发；请运行 qianfa reload。
    The public keys are not published, nothing can be issued; run qianfa reload.
    """


class KeyRenewed(Refusal):
    """公钥 {kid} 已按另一证书登记，其有效期或用途不同；换证书须同时换密钥。
    The key {kid} is published with another window or use; a new certificate needs a new key.
    """


class FileUnusable(Refusal):
    """文件或文件夹 {path} 无法使用（{reason}）。
    The file or folder {path} cannot be used ({reason}).
    """


class ValueUnstorable(Refusal):
    """有一项内容过大，或含有不能保存的字符；请更正后再试。
    Something given is too large or holds characters that cannot be kept; mend it and try again.
    """


class ConfirmationAbsent(Refusal):
    """此操作会改变正式数据；请加 --yes 确认。
    This changes official data; confirm it with --yes.
    """


class JailLimitExceeded(Refusal):
    """文件超出读取限制（{limit_zh}），未予读取；请删去多余内容，或分成几个文件。
    The file goes beyond what reading one may take ({limit}); leave out what you can, or split it.
    """


class JailFault(Refusal):
    """读取文件时发生意外错误（{exception}）。
    Reading the file failed unexpectedly ({exception}).
    """


class JailBusy(Refusal):
    """等待读取的文件过多，请 {seconds} 秒后再试。
    Too many files wait to be read; try again in {seconds} seconds.
    """

    retry = True


class JailUnavailable(Refusal):
    """暂时无法读取文件，请稍后再试。
    No file can be read just now; try again later.
    """

    retry = True


class ObjectMissing(Refusal):
    """存储中没有文件 {sha256}。
    The store holds no file {sha256}.
    """


class ObjectDamaged(Refusal):
    """存储中的文件 {sha256} 已损坏。
    The stored file {sha256} is damaged.
    """


class ForeignRequest(Refusal):
    """此请求来自别的网站，未予处理。
    The request came from a page of another site and was refused.
    """


class QuestionMalformed(Refusal):
    """请求的内容不符合要求（{reason}）；请按 /api/v1/openapi.json 更正。
    The request is not as it must be ({reason}); see /api/v1/openapi.json.
    """


class TooManyRequests(Refusal):
    """查询过于频繁，请 {seconds} 秒后再试。
    Too many questions; ask again in {seconds} seconds.
    """

    retry = True


class LinkForged(Refusal):
    """下载链接不完整或被改动；请回到“我的证书”重新下载。
    The download link is cut off or changed; download again from "My certificates".
    """


class LinkExpired(Refusal):
    """下载链接已过期；请回到“我的证书”重新下载。
    The download link has expired; download again from "My certificates".
    """


class ShareLinksMany(Refusal):
    """这张证书已有 5 个有效的分享链接；请先收回一个。
    There are five live share links of this certificate; take one back first.
    """


class ReportsMany(Refusal):
    """这张证书已有 3 条待受理的更正请求；请等候发证机关处理。
    Three reports of this certificate are waiting already; please wait for the authority.
    """


class ReportUnknown(Refusal):
    """没有待受理的更正请求 {report_id}，或属于其他市（州）。
    There is no open report {report_id}, or it is another city's.
    """


class IdentityUnproven(Refusal):
    """统一身份认证没有完成；请重新登录，或改用姓名和证件号码查询。
    The identity provider did not prove who you are; sign in again, or use name and document.
    """


class StatusListsBehind(Refusal):
    """状态表落后于登记，未写出任何文件；请先运行 qianfa issue（或让 serve 运行），再发布。
    A status list lacks a change and nothing was written; run qianfa issue or serve, then publish.
    """

    retry = True


class SerialsUnreadable(Refusal):
    """无法识别流水号“{typed}”；请按 {wanted} 的样子填写，多段以顿号或逗号分隔。
    The serials "{typed}" cannot be read; write them like {wanted}, ranges separated by commas.
    """


class SerialsRepeated(Refusal):
    """上列流水号重复填写。
    The serials listed are given twice.
    """


class RangesMany(Refusal):
    """一次填写了 {count} 段，最多 {limit} 段；请分次办理。
    There are {count} ranges, at most {limit} are taken at once; do it in parts.
    """


class SeriesUnknown(Refusal):
    """没有空白证书系列 {series_code}；现有：{codes}。
    There is no series {series_code}; there are: {codes}.
    """


class SerialsKnown(Refusal):
    """系列 {series_code} 的上列 {count} 张已在账上，不能再次入账。
    The {count} sheets of {series_code} listed are in the books already.
    """


class SerialsUnknown(Refusal):
    """系列 {series_code} 的上列 {count} 张从未入账。
    The {count} sheets of {series_code} listed are not in the books.
    """


class SerialsElsewhere(Refusal):
    """系列 {series_code} 的上列 {count} 张不在本单位账上。
    The {count} sheets of {series_code} listed are not in these books.
    """


class SerialsInOtherState(Refusal):
    """系列 {series_code} 的上列 {count} 张不处于“{wanted}”。
    The {count} sheets of {series_code} listed are not {wanted}.
    """


class BlanksTooFew(Refusal):
    """系列 {series_code} 需 {wanted} 张，库存仅 {free} 张；请先申领或入库，或减少数量。
    {wanted} sheets of {series_code} are wanted, {free} are free; get more in, or take fewer.
    """


class SeriesExists(Refusal):
    """此系列代号，或同类、同位数的流水号字头，已登记；请核对后另取。
    The code, or the prefix with this kind and digit count, is taken; look, and choose another.
    """


class SeriesAbsent(Refusal):
    """尚未登记任何空白证书系列；请省中心先登记（record blank-series）。
    No series of blanks is recorded; the province records one first (record blank-series).
    """


class MovementUnknown(Refusal):
    """没有流水 {movement}，或属于其他市（州）。
    There is no movement {movement}, or it is another city's.
    """


class MovementImpossible(Refusal):
    """空白证书不能这样流转，或经办人数不足；未作改动。
    Blanks do not move like this, or more persons are needed; nothing was done.
    """


class MovedSince(Refusal):
    """该流水之后这些证书又有变动，不能冲正；请从最近一笔开始。
    These sheets have moved since and it cannot be countered; begin with the newest movement.
    """


class LedgerTooLong(Refusal):
    """台账超过这种文件的上限 {limit} 笔；请改用 xlsx（可达一百万笔），或缩短期间。
    The ledger has over {limit} movements, too many here; take the xlsx, or a shorter period.
    """


class BlankEditionUnknown(Refusal):
    """没有空白证书版式 {edition}；现有：{editions}。
    There is no blank edition {edition}; there are: {editions}.
    """


class PrinterNameUnfit(Refusal):
    """打印机名称须为 1 至 40 个字符，首尾不得为空格。
    A printer's name has 1 to 40 characters and no space at either end.
    """


class PrinterUnknown(Refusal):
    """打印机 {printer_name} 没有版式 {edition} 的参数；请先打印校准页并录入。
    Printer {printer_name} has no profile for edition {edition}; print a calibration sheet first.
    """


class ProfileUnknown(Refusal):
    """打印机 {printer_name} 没有版式 {edition} 的第 {profile_id} 号参数；请照校准页所印的号填写。
    Printer {printer_name} has no profile {profile_id} for {edition}; see the sheet measured.
    """


class MarksFew(Refusal):
    """须量取编号 1 至 8 中至少 {wanted} 个不同的标记，现有 {count} 个。
    Measure at least {wanted} different marks of those numbered 1 to 8; there are {count}.
    """


class MarkMisfit(Refusal):
    """标记 {mark} 与其余标记相差 {distance} mm；请重新量取或核对录入。
    Mark {mark} differs from the others by {distance} mm; measure it again or see how it was typed.
    """


class ProfileImplausible(Refusal):
    """所需校正过大（{correction}）；请以实际大小（100%）打印校准页，并核对送纸和所用参数的号。
    The correction is too large ({correction}); print at 100 %, see how it is fed and which profile.
    """


class FieldOffSheet(Refusal):
    """按此校正，{fields} 会印到纸外；请调整送纸后重新打印校准页。
    With this correction {fields} would leave the sheet; adjust the feed and print the page again.
    """


class OrderUnknown(Refusal):
    """没有第 {order_id} 号办理（见 blanks orders），或属于其他单位。
    There is no order {order_id}, or it is another centre's.
    """


class OrderDecided(Refusal):
    """第 {order_id} 号办理已办结（{state}）。
    Order {order_id} is decided already ({state}).
    """


class OrderSignedOtherwise(Refusal):
    """第 {order_id} 号办理须用 {command}。
    Order {order_id} is signed with {command}.
    """


class CounterImpossible(Refusal):
    """流水 {sequence}（{kind}）不能冲正；收发用 undo-dispatch，核发用 paper，其余反向办理。
    Movement {sequence} ({kind}) is not countered; see undo-dispatch, paper, or move it back.
    """


class SerialsNotMoved(Refusal):
    """上列 {count} 张不在流水 {sequence}（{serials}）之内。
    The {count} sheets listed are not among those of movement {sequence} ({serials}).
    """


class NothingPending(Refusal):
    """系列 {series_code} 没有待销毁的证书。
    No sheets of {series_code} wait for destruction.
    """


class StocktakeOpen(Refusal):
    """正在盘点（见 blanks stocktake list），所盘账户暂停收发；请先办结或取消盘点。
    A stocktake is open and what it counts does not move; end or cancel it first.
    """


class StocktakeUnknown(Refusal):
    """没有盘点 {stocktake_id}，或属于其他单位。
    There is no stocktake {stocktake_id}, or it is another centre's.
    """


class StocktakeElsewhere(Refusal):
    """盘点 {stocktake_id} 现为“{state}”，不能办理此事。
    Stocktake {stocktake_id} is {state} and does not take this.
    """


class SeriesNotCounted(Refusal):
    """盘点 {stocktake_id} 不盘系列 {series_code}；所盘：{codes}。
    Stocktake {stocktake_id} does not count {series_code}; it counts: {codes}.
    """


class CountUnknown(Refusal):
    """盘点 {stocktake_id} 没有可以划去的第 {count_id} 笔清点。
    Stocktake {stocktake_id} has no entry {count_id} that could be struck out.
    """


class CountedTwice(Refusal):
    """上列 {count} 张清点了不止一次；请复核实物，划去有误的一笔，再结束清点。
    The {count} sheets listed were counted more than once; look again and strike out an entry.
    """


class DifferenceUnknown(Refusal):
    """盘点 {stocktake_id} 没有第 {numbers} 项差异。
    Stocktake {stocktake_id} has no difference {numbers}.
    """


class ReasonsAbsent(Refusal):
    """盘点 {stocktake_id} 有 {count} 项差异未说明原因；请先说明（blanks stocktake reason）。
    Stocktake {stocktake_id} has {count} differences without a reason.
    """


class AttachmentUnfit(Refusal):
    """附件须为 PDF、JPEG 或 PNG，1 字节至 20 MB，文件名 1 至 200 字，不含控制字符。
    An attachment is a PDF, JPEG or PNG of up to 20 MB, with a plain name of up to 200 characters.
    """


class AttachmentSubjectUnknown(Refusal):
    """附件所属的业务不存在，或属于其他市（州）。
    There is nothing of that kind and number to attach to, or it is another city's.
    """


class AttachmentKnown(Refusal):
    """同一文件 {sha256} 已附于此处。
    The same file {sha256} is attached here already.
    """


class AttachmentUnknown(Refusal):
    """没有附件 {sha256}，或属于其他市（州）。
    There is no attachment {sha256}, or it is another city's.
    """


class PaperNotWanted(Refusal):
    """上列 {count} 张证书现在不能列入打印任务；未建任务。
    The {count} certificates listed take no paper now; no run was planned.
    """


class CertificateBeingPrinted(Refusal):
    """有证书刚被列入另一打印任务，本次未生效；请重新核对。
    Another run has just taken one of the certificates, nothing was done; look again.
    """


class RunTooLong(Refusal):
    """一个打印任务最多 {limit} 张，现有 {count} 张；请分次办理。
    A print run takes {limit} certificates and {count} are given; do it in parts.
    """


class RunUnknown(Refusal):
    """没有打印任务 {run_id}，或属于其他市（州）。
    There is no print run {run_id}, or it is another city's.
    """


class RunInOtherState(Refusal):
    """打印任务 {run_id} 现为“{state}”；此事须在“{wanted}”时办理。
    Print run {run_id} is {state}; this is done while it is {wanted}.
    """


class RunFallen(Refusal):
    """任务 {run_id} 有 {count} 张证书不再有效：不出 PDF，不算打印；已印的作废，未印的按未打印结算。
    {count} certificates of run {run_id} stand no more: settle them as spoiled or as not printed.
    """


class FacesAbsent(Refusal):
    """上列 {count} 份证书的存档文件缺失或损坏，未出 PDF；请从备份恢复存储，或取消任务，先打其他的。
    The files of {count} certificates are missing or damaged: restore them, or cancel the run.
    """


class NothingToPrint(Refusal):
    """打印任务 {run_id} 没有还需纸质证书的；请关闭或取消。
    No certificate of print run {run_id} wants paper any more; close or cancel it.
    """


class SerialsMiscounted(Refusal):
    """指定的流水号共 {given} 张，任务需要 {wanted} 张。
    {given} serials are given and the run wants {wanted}.
    """


class PrintedPerhaps(Refusal):
    """任务 {run_id} 已出过 PDF，可能已有打印；请逐张结算，未印的全部说明未打印。
    The PDF of run {run_id} was made and sheets may be printed: settle it, saying what was not.
    """


class SheetUnreadable(Refusal):
    """“{typed}”不是本轮的一张：请写序号 1 至 {count}，或流水号如 {serial}，范围以“-”连接。
    "{typed}" is no sheet of this round: write its place, 1 to {count}, or a serial like {serial}.
    """


class SettlementUnclear(Refusal):
    """上列 {count} 处说法矛盾或未说明，未结算；请逐张查看后说明每张承载哪份证书。
    {count} things listed are contradictory or open; look at the sheets and say what each bears.
    """


class PrintedMiscounted(Refusal):
    """数目不符：领用 {drawn} − 作废 {spoiled} − 未打印 {returned} = {left}，却说印好 {printed}。
    Drawn {drawn} − spoiled {spoiled} − unprinted {returned} = {left}, but {printed} are said good.
    """


class SheetPrinted(Refusal):
    """有流水号此前已打印过，不能再领用；请指定其他流水号。
    A serial has been printed before and cannot be drawn again; name others.
    """


class PrintingImpossible(Refusal):
    """打印或纸质证书不能这样办理；未作改动。
    Printing does not go like this; nothing was done.
    """


class PaperHeld(Refusal):
    """编号已有现行纸质证书；未作改动。
    The number has a current paper already; nothing was done.
    """


class PaperUnknown(Refusal):
    """编号 {number} 没有现行纸质证书，或属于其他市（州）。
    There is no current paper of {number}, or it is another city's.
    """


class PaperChangeImpossible(Refusal):
    """{number} 的纸质证书现为“{paper}”，证书现为 {standing}，不能办理 {kind}。
    The paper of {number} is {paper} and the certificate {standing}: no {kind}.
    """


class HandOverRefused(Refusal):
    """上列纸质证书现在不能核发；未作登记。
    The papers listed cannot be handed over now; nothing was recorded.
    """


class NothingToHandOver(Refusal):
    """没有可核发的纸质证书：没有此打印任务，或其中没有印好而未领取的。
    Nothing is to be handed over: no such run, or nothing of it is printed and uncollected.
    """


class CollectorUnproven(Refusal):
    """须核对证件；代领的，须同时写明代领人和授权文件。
    An identity document must be checked; of an agent, name and authority document are needed.
    """


class HandOverDateUnfit(Refusal):
    """核发日期 {day} 早于打印日期，或晚于今天。
    The day of hand-over, {day}, is before printing or later than today.
    """


class RequisitionUnknown(Refusal):
    """没有申领表 {requisition_id}，或属于其他市（州）。
    There is no requisition {requisition_id}, or it is another city's.
    """


class RequisitionInOtherState(Refusal):
    """申领表 {requisition_id} 现为“{state}”，不能办理此事。
    Requisition {requisition_id} is {state} and does not take this.
    """


class RequisitionEmpty(Refusal):
    """此期间没有未计入申领的合格人次，也没有追加；无须申领。
    No passes of the period are left to be covered and nothing more is asked; there is no need.
    """


class PeriodUnfit(Refusal):
    """归档期间 {since} 至 {until} 不可用：起日不得晚于止日，止日不得晚于今天 {today}。
    The period {since} to {until} is no use: it ends before it begins, or after today, {today}.
    """


class RequisitionOutdated(Refusal):
    """计数之后有编号作废；请重新计算（blanks requisition mend），已提交的请退回。
    A number has become void since it was counted; mend it, or return what was submitted.
    """


class RequisitionUnsettled(Refusal):
    """尚有在途的货或未结的差异，或少于核准数而未写原因（--reason）；不能办结。
    Something is on the road or unsettled, or less came than approved and nobody said why.
    """


class RequisitionOfOtherKind(Refusal):
    """申领表 {requisition_id} 申领的是 {kind}，系列 {series_code} 不是。
    Requisition {requisition_id} asks for {kind}, which series {series_code} is not.
    """


class PassesCovered(Refusal):
    """这些合格人次刚被另一张申领表计入，本次未生效；请重新计算。
    Another requisition has just covered these passes and this one was undone; count again.
    """

    retry = True


class GrantUnfit(Refusal):
    """核准的追加数量须在 0 至申请数之间，且核准总数不得为 0（请改为退回）。
    Of the extra, 0 to what was asked is granted; where nothing is left, return it instead.
    """


class BeyondApproved(Refusal):
    """申领表 {requisition_id} 核准 {approved} 张，已供 {supplied} 张，不能再发 {wanted} 张。
    Requisition {requisition_id}: {approved} approved, {supplied} supplied, so not {wanted} more.
    """


class SupplyImpossible(Refusal):
    """申领与收发不能这样办理；未作改动。
    Requisitions and consignments do not move like this; nothing was done.
    """


class ConsignmentUnknown(Refusal):
    """没有发货单 {consignment_id}（见 blanks consignments），或属于其他市（州）。
    There is no consignment {consignment_id}, or it is another city's.
    """


class ConsignmentInOtherState(Refusal):
    """发货单 {consignment_id} 现为“{state}”，不能办理此事。
    Consignment {consignment_id} is {state} and does not take this.
    """


class CountUnequal(Refusal):
    """发出 {sent} − 短少 {short} + 多出 {extra} = {expected}，实点 {counted}；请重点并写明号段。
    Sent {sent} − short {short} + extra {extra} = {expected}, counted {counted}: name the serials.
    """


class DifferencesUnfit(Refusal):
    """上列 {count} 张与发货单 {consignment_id} 不符；请核对所填号段。
    The {count} sheets listed do not agree with consignment {consignment_id}.
    """


class SerialsUnsettled(Refusal):
    """上列 {count} 张在别的发货单中多出而未结，不能下发；请先结清（blanks settle）。
    The {count} sheets listed were extra in another consignment, which is not settled.
    """


class DifferenceNotOpen(Refusal):
    """没有未结的差异 {difference_id}（见 blanks differences），或属于其他市（州）。
    There is no open difference {difference_id}, or it is another city's.
    """


class DifferenceSettled(Refusal):
    """这些差异已结。
    These differences are settled already.
    """


class SettlementUnfit(Refusal):
    """差异 {difference_id}（{kind}）只能结为：{wanted}。
    Difference {difference_id} ({kind}) is settled as: {wanted}.
    """


class TraceUnknown(Refusal):
    """没有流水号或证书编号为“{what}”的证书，或属于其他市（州）。
    There is no serial and no certificate number “{what}”, or it is another city's.
    """


class PersonUntraced(Refusal):
    """没有此姓名与证件号码的证书，或属于其他市（州）。
    There is no certificate of this name and document, or it is another city's.
    """
