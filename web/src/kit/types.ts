// Short names for the shapes of the portal's JSON. The shapes themselves are generated from its OpenAPI
// document (`make web-types`). Times are RFC 3339 texts in UTC.

import type { components, paths } from './api-types';

type Shapes = components['schemas'];

export type Change = Shapes['ChangeOut'];
export type ChangeKind = Shapes['ChangeKind'];
export type EventState = Shapes['EventState'];
export type StreamStatus = Shapes['StreamOut'];
export type Visibility = Shapes['Visibility'];
export type LiveEvent = Shapes['EventOut'];
export type NewEvent = Shapes['EventIn'];
export type EventChanges = Shapes['EventChange'];
export type Me = Shapes['MyselfOut'];
export type Statistics = Shapes['StatisticsOut'];
export type StatisticsPoint = Shapes['PointOut'];
export type MemberRole = Shapes['MemberRole'];
export type Member = Shapes['MemberOut'];
export type Reservation = Shapes['ReservationOut'];
export type Watched = Shapes['WatchedOut'];
export type Purpose = Shapes['Purpose'];
export type Reminders = Shapes['AccountRemindersOut'];
export type ReminderChannel = Reminders['channels'][number];
export type NewDevice = Shapes['DeviceIn'];
export type Recording = Shapes['RecordingOut'];
export type RecordingChanges = Shapes['RecordingPatch'];
export type RecordingState = Shapes['RecordingState'];
export type Replay = Shapes['ReplayOut'];
export type FoundCaption = Shapes['FoundCaptionOut'];
export type ProviderFile = Shapes['ProviderFileOut'];
export type Playout = Shapes['PlayoutOut'];
export type NewPlayout = Shapes['PlayoutIn'];
export type Account = Shapes['AccountOut'];
export type Session = Shapes['TicketOut'];
export type Ingest = Shapes['IngestOut'];
export type NodeStatus = Shapes['NodeDetailOut'];
export type NodeState = Shapes['NodeAvailability'];
export type LinkStatus = Shapes['LinkLoadOut'];
export type FunctionStatus = Shapes['FunctionOut'];
export type FunctionRole = Shapes['StreamRole'];
export type Tree = Shapes['TreeOut'];
export type NodeRole = Shapes['Role'];
export type Topology = Shapes['TopologyOut'];
export type NewTopology = Shapes['TopologyIn'];
export type SwitchStatus = Shapes['SwitchOut'];
export type OverlayLink = Shapes['LinkOut'];
export type PathEnd = Shapes['EndOut'];
export type NetworkPath = Shapes['PathOut'];
export type NewPath = Shapes['PathIn'];
export type Rule = Shapes['FlowOut'];
export type Slice = Shapes['SliceOut'];
export type Webhook = Shapes['CallbackOut'];
export type Section = Shapes['Section'];
export type ListedProvider = Shapes['ListedProviderOut'];
export type EventSearch = NonNullable<paths['/api/v1/discover/events']['get']['parameters']['query']>;
export type ProviderSearch = NonNullable<paths['/api/v1/discover/providers']['get']['parameters']['query']>;
